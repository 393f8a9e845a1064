"""recurrent: reading on, with documents that are forgotten."""

import numpy as np
import pytest
import tensorflow as tf
from modelling import build, flat, forgotten

recurrent = pytest.mark.parametrize("model", ["lstm", "gru"])


@recurrent
def test_reading_windows_on_is_reading_token_by_token(model: str) -> None:
    """With resets anywhere, at the first place too: the oracle zeroes the state of the row."""
    made = build(model, 11, dropout=0.0)
    generator = np.random.default_rng(0)
    tokens = generator.integers(11, size=(3, 20)).astype(np.int32)
    resets = generator.random(size=(3, 20)) < 0.2
    assert resets[:, ::5].any()
    expected, state = [], made.initial_state(3)
    for place in range(20):
        state = forgotten(state, resets[:, place])
        logits, state = made.step(tf.constant(tokens[:, place]), state)
        expected.append(logits)
    found, carried = [], made.initial_state(3)
    for start in range(0, 20, 5):
        window = slice(start, start + 5)
        head, carried = made.read(
            tf.constant(tokens[:, window]), tf.constant(resets[:, window]), carried, training=True
        )
        found.append(head.logits())
    np.testing.assert_allclose(np.concatenate(found, 1), np.stack(expected, 1), atol=1e-5)
    for one, other in zip(flat(carried), flat(state), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@recurrent
def test_nothing_before_a_reset_changes_what_is_after(model: str) -> None:
    made = build(model, 11)
    tokens = np.random.default_rng(0).integers(11, size=(1, 12)).astype(np.int32)
    resets = np.zeros([1, 12], bool)
    resets[0, 7] = True
    changed = tokens.copy()
    changed[0, 3] = (changed[0, 3] + 1) % 11
    (first, _), (second, _) = (
        made.read(tf.constant(x), tf.constant(resets), made.initial_state(1))
        for x in (tokens, changed)
    )
    moved = np.abs(first.logits() - second.logits()).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(moved, [3 <= place < 7 for place in range(12)])


@recurrent
def test_the_gradient_of_a_read_is_that_of_keras_own_layers(model: str) -> None:
    """From the initial state and without resets it is the same function as `call`."""
    made = build(model, 11, dropout=0.0)
    tokens = np.random.default_rng(0).integers(11, size=(3, 7)).astype(np.int32)
    gradients = []
    state, none = made.initial_state(3), tf.zeros([3, 7], tf.bool)
    for read in (made, lambda x: made.read(x, none, state, training=True)[0].logits()):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.math.sin(read(tf.constant(tokens))))
        weights = [variable.value for variable in made.trainable_variables]
        gradients.append([tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)])
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
