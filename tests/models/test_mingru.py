"""mingru: windows beside single places and Keras's layers, resets, and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelling import build, flat, forgotten, make, step_through

from trainer.exporting.plain_keras import plain_model
from trainer.models.mingru import PLACES


def test_it_is_a_gru_whose_gates_do_not_see_the_state() -> None:
    made = make("mingru", layers=2, dropout=0.0)
    tokens = np.random.default_rng(1).integers(11, size=(2, 30)).astype(np.int32)
    plain = plain_model(made)
    assert {type(one) for one in plain.layers} >= {keras.layers.GRU, keras.layers.DepthwiseConv1D}
    np.testing.assert_allclose(plain(tokens), made(tokens), rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(step_through(made, tokens), made(tokens), rtol=1e-4, atol=2e-5)


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("window", [1, 2, 3, 4, 6, 12])
def test_windows_of_any_length_read_on_and_forget_at_resets(window: int) -> None:
    """Shorter ones than the convolution reaches too."""
    made = make("mingru", layers=2, dropout=0.0)
    random = np.random.default_rng(window)
    tokens = random.integers(11, size=(5, 12)).astype(np.int32)
    resets = random.random((5, 12)) < 0.3
    expected, state = [], made.initial_state(5)
    for place in range(12):
        state = forgotten(state, resets[:, place])
        logits, state = made.step(tf.constant(tokens[:, place]), state)
        expected.append(logits)
    found, carried = [], made.initial_state(5)
    for start in range(0, 12, window):
        part = slice(start, start + window)
        head, carried = made.read(
            tf.constant(tokens[:, part]), tf.constant(resets[:, part]), carried
        )
        found.append(head.logits())
    np.testing.assert_allclose(
        np.concatenate(found, 1), np.stack(expected, 1), rtol=1e-4, atol=2e-5
    )
    for one, other in zip(flat(carried), flat(state), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.usefixtures("fused_or_not")
def test_gradients_are_those_of_keras_own_layers() -> None:
    made = make("mingru", layers=2, dropout=0.0)
    tokens = np.random.default_rng(2).integers(11, size=(2, 9)).astype(np.int32)
    plain = plain_model(made)
    found = []
    for model, ends in ((made, ("taps", "kernel")), (plain, ("kernel",))):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(model(tf.constant(tokens))))
        weights = [one for one in model.trainable_variables if one.path.endswith(ends)]
        gradients = tape.gradient(loss, [one.value for one in weights])
        found.append(
            {one.path: gradient.numpy() for one, gradient in zip(weights, gradients, strict=True)}
        )
    ours, theirs = ({k.replace("/", "_"): v for k, v in one.items()} for one in found)

    def of(name: str, values: dict[str, np.ndarray]) -> np.ndarray:
        (key,) = [key for key in values if name in key]
        return values[key]

    for block in ("block_0", "block_1"):
        taps = of(f"{block}_convolve", theirs)[..., 0]
        np.testing.assert_allclose(of(f"{block}_taps", ours), taps, rtol=1e-3, atol=1e-2)
        gru = of(f"{block}_recur_gru_cell_kernel", theirs)
        gate, _, candidate = np.split(gru, 3, axis=1)
        project = np.concatenate([-gate, candidate], axis=1)
        np.testing.assert_allclose(of(f"{block}_project", ours), project, rtol=1e-3, atol=1e-2)
        for layer in ("expand", "contract"):
            name = f"{block}_{layer}"
            np.testing.assert_allclose(of(name, ours), of(name, theirs), rtol=1e-3, atol=1e-2)


def test_the_state_is_a_vector_and_some_inputs_a_layer() -> None:
    made = make("mingru", layers=2)
    assert [one.shape for one in flat(made.initial_state(3))] == [(3, 12), (3, PLACES - 1, 12)] * 2


def test_the_state_stays_float32_in_low_precision() -> None:
    made = build("mingru", 11, precision="bfloat16", units=8, embedding_dim=None)
    _, state = made.step(tf.constant([1, 2]), made.initial_state(2))
    assert {part.dtype for part in tf.nest.flatten(state)} == {tf.float32, tf.bfloat16}
    assert state[0][0].dtype == tf.float32
