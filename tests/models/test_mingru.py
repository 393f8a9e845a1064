"""mingru: all places at once beside one after the other, Keras's GRU, and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelling import flat, make, step_through

from trainer.exporting.plain_keras import plain_model
from trainer.models.mingru import MinGRU

SIZES = (1, 2, 3, 8, 13, 64)


@pytest.mark.parametrize("seq_len", SIZES)
def test_all_places_at_once_are_one_after_the_other(seq_len: int) -> None:
    layer = MinGRU(5, return_sequences=True)
    layer.build((None, None, 4))
    random = np.random.default_rng(seq_len)
    inputs = 3 * random.normal(size=(2, seq_len, 4)).astype(np.float32)
    keep = (random.random((2, seq_len, 1)) < 0.7).astype(np.float32)
    state = [tf.constant(random.normal(size=(2, 5)), tf.float32)]
    outputs, last = layer.scan(inputs, keep, state)
    for place in range(seq_len):
        forgetting = [part * keep[:, place] for part in state]
        expected, state = layer.cell(tf.constant(inputs[:, place]), forgetting)
        np.testing.assert_allclose(outputs[:, place], expected, atol=1e-5)
    np.testing.assert_allclose(last[0], state[0], atol=1e-5)


def test_it_is_a_gru_whose_gates_do_not_see_the_state() -> None:
    made = make("mingru", layers=2, dropout=0.0)
    tokens = np.random.default_rng(1).integers(11, size=(2, 30)).astype(np.int32)
    plain = plain_model(made)
    assert {type(one) for one in plain.layers} >= {keras.layers.GRU}
    np.testing.assert_allclose(plain(tokens), made(tokens), atol=1e-5)
    np.testing.assert_allclose(step_through(made, tokens), made(tokens), atol=1e-5)


def test_gradients_are_differences() -> None:
    layer = MinGRU(3, return_sequences=True)
    layer.build((None, None, 2))
    inputs = tf.constant(np.random.default_rng(2).normal(size=(2, 9, 2)), tf.float32)

    def loss() -> tf.Tensor:
        return tf.reduce_sum(tf.sin(layer(inputs)))

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, [one.value for one in layer.trainable_variables])
    for variable, gradient in zip(layer.trainable_variables, gradients, strict=True):
        weights = variable.numpy()
        for place in np.ndindex(*weights.shape):
            sides = []
            for change in (1e-2, -1e-2):
                moved = weights.copy()
                moved[place] += change
                variable.assign(moved)
                sides.append(float(loss()))
            variable.assign(weights)
            assert (sides[0] - sides[1]) / 2e-2 == pytest.approx(
                float(gradient[place]), rel=5e-3, abs=2e-3
            )


def test_the_state_is_one_vector_a_layer() -> None:
    made = make("mingru", layers=2)
    assert [one.shape for one in flat(made.initial_state(3))] == [(3, 12), (3, 12)]
