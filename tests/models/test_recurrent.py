"""recurrent: reading on, with documents that are forgotten."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from modelling import build, flat, forgotten

recurrent = pytest.mark.parametrize("model", ["lstm", "gru"])


@pytest.fixture(params=["by hand", "by cells"])
def any_device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models read as on a CPU, and as on other devices."""
    if request.param == "by cells":
        monkeypatch.setattr("trainer.models.recurrent.on_cpu", lambda: False)


@recurrent
@pytest.mark.usefixtures("any_device")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 1e-2)])
def test_reading_windows_on_is_reading_token_by_token(
    model: str, precision: str, tolerance: float
) -> None:
    """With resets anywhere, at the first place too: the oracle zeroes the state of the row."""
    made = build(model, 11, dropout=0.0, precision=precision)
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
    np.testing.assert_allclose(np.concatenate(found, 1), np.stack(expected, 1), atol=tolerance)
    for one, other in zip(flat(carried), flat(state), strict=True):
        np.testing.assert_allclose(one.astype(np.float32), other.astype(np.float32), atol=tolerance)


@recurrent
@pytest.mark.usefixtures("any_device")
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
def test_the_gradient_of_a_read_is_that_of_keras_own_layers(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the initial state and without resets it is the same function as `call`."""
    made = build(model, 11, dropout=0.0, layers=2)
    tokens = np.random.default_rng(0).integers(11, size=(3, 7)).astype(np.int32)
    state, none = made.initial_state(3), tf.zeros([3, 7], tf.bool)

    def gradients(read: Any) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.math.sin(read(tf.constant(tokens))))
        weights = [variable.value for variable in made.trainable_variables]
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, weights)]

    def read_on(x: tf.Tensor) -> tf.Tensor:
        return made.read(x, none, state, training=True)[0].logits()

    found = [gradients(made), gradients(read_on)]
    monkeypatch.setattr("trainer.models.recurrent.on_cpu", lambda: False)
    found.append(gradients(read_on))
    for of_weights in zip(gradients(made), *found, strict=True):
        for one in of_weights[1:]:
            np.testing.assert_allclose(one, of_weights[0], atol=1e-4)


@recurrent
@pytest.mark.usefixtures("any_device")
def test_ids_that_are_dropped_are_those_of_any_device(model: str) -> None:
    made = build(model, 11, dropout=0.0, embedding_dropout=0.5)
    tokens = tf.constant(np.arange(11, dtype=np.int32)[np.newaxis])
    drop = made.embedding_dropout
    state = drop.seed_generator.state.numpy()
    zeroed = drop(tf.ones([11, 1]), training=True).numpy()[:, 0] == 0
    assert 0 < zeroed.sum() < 11
    drop.seed_generator.state.assign(state)
    found = made(tokens, training=True)
    vectors = made.embedding.embeddings
    vectors.assign(np.where(zeroed[:, np.newaxis], 0, 2 * vectors.numpy()))
    np.testing.assert_allclose(found, made(tokens), atol=1e-5)
