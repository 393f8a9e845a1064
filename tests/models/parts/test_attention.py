"""attention: rotations, the mask, and the average beside Keras's own attention."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.parts.attention import (
    attend,
    causal_mask,
    rotary_turns,
    rotate,
    split_and_rotate,
)


def test_rotation_leaves_products_to_the_distance() -> None:
    queries, keys = np.random.default_rng(2).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)

    def product(query_position: int, key_position: int) -> float:
        query, key = (
            rotate(tf.constant(one), *rotary_turns(tf.constant([position]), 8))
            for one, position in ((queries, query_position), (keys, key_position))
        )
        return float(tf.reduce_sum(query * key))

    assert product(5, 2) == pytest.approx(product(103, 100), abs=1e-4)
    assert product(5, 2) != pytest.approx(product(5, 3), abs=1e-2)
    assert product(0, 0) == pytest.approx(float((queries * keys).sum()), abs=1e-6)


@pytest.mark.parametrize(("context", "places"), [(1, [[2]]), (2, [[1, 2]]), (9, [[0, 1, 2]])])
def test_a_place_sees_itself_and_those_before_it(context: int, places: list[list[int]]) -> None:
    seen = [np.flatnonzero(row).tolist() for row in causal_mask(3, context)]
    assert seen[2:] == places
    assert seen[0] == [0]


@pytest.mark.parametrize("context", [1, 3, 6])
def test_values_and_gradients_are_those_of_keras_own_attention(context: int) -> None:
    """Of `keras.ops.dot_product_attention`, whose heads come after the places."""
    arrays = np.random.default_rng(0).normal(size=(3, 2, 4, 6, 8)).astype(np.float32)
    mask = causal_mask(6, context)

    def ours(queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return attend(queries / np.sqrt(8), keys, values, mask)

    def theirs(*given: tf.Tensor) -> tf.Tensor:
        swapped = [tf.transpose(one, [0, 2, 1, 3]) for one in given]
        result = keras.ops.dot_product_attention(*swapped, mask=mask[tf.newaxis, tf.newaxis])
        return tf.transpose(result, [0, 2, 1, 3])

    results = []
    for function in (ours, theirs):
        given = [tf.constant(one) for one in arrays]
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = function(*given)
            loss = tf.reduce_sum(tf.sin(outputs))
        results.append([outputs, *tape.gradient(loss, given)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_one_product_is_split_into_heads_and_the_scale_is_the_queries() -> None:
    joined = np.random.default_rng(1).normal(size=(2, 5, 3, 4, 8)).astype(np.float32)
    turns = rotary_turns(tf.range(5), 8)
    queries, keys, values = split_and_rotate(tf.constant(joined), *turns)
    expected = [rotate(np.swapaxes(joined[:, :, part], 1, 2), *turns) for part in (0, 1)]
    np.testing.assert_allclose(queries, expected[0] / np.sqrt(8), atol=1e-6)
    np.testing.assert_allclose(keys, expected[1], atol=1e-6)
    np.testing.assert_array_equal(values, np.swapaxes(joined[:, :, 2], 1, 2))
