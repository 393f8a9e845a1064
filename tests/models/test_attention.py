"""attention: rotations, the mask, and the average beside Keras's own attention."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.attention import attend, causal_mask, rotate


def test_rotation_leaves_products_to_the_distance() -> None:
    queries, keys = np.random.default_rng(2).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)

    def product(query_position: int, key_position: int) -> float:
        query = rotate(tf.constant(queries), tf.constant([query_position]))
        return float(tf.reduce_sum(query * rotate(tf.constant(keys), tf.constant([key_position]))))

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

    def theirs(*given: tf.Tensor) -> tf.Tensor:
        swapped = [tf.transpose(one, [0, 2, 1, 3]) for one in given]
        result = keras.ops.dot_product_attention(*swapped, mask=mask[tf.newaxis, tf.newaxis])
        return tf.transpose(result, [0, 2, 1, 3])

    results = []
    for function in (lambda *given: attend(*given, mask), theirs):
        given = [tf.constant(one) for one in arrays]
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs = function(*given)
            loss = tf.reduce_sum(tf.sin(outputs))
        results.append([outputs, *tape.gradient(loss, given)])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
