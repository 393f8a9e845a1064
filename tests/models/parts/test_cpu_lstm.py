"""cpu_lstm: the values and the gradients of Keras's LSTM, which is the oracle."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.parts import cpu_lstm

SEQ_LEN, BATCH, WIDTH, UNITS, IDS = 6, 3, 5, 4, 7
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(SEQ_LEN, BATCH, WIDTH)).astype(np.float32)
TOKENS = RANDOM.integers(IDS, size=(SEQ_LEN, BATCH)).astype(np.int32)
STATE = RANDOM.normal(size=(2, BATCH, UNITS)).astype(np.float32)
RESETS = RANDOM.random((SEQ_LEN, BATCH)) < 0.3
# What a loss might ask of the outputs and of the state after them.
WEIGHTS = RANDOM.normal(size=(SEQ_LEN, BATCH, UNITS)).astype(np.float32)
STATE_WEIGHTS = RANDOM.normal(size=(2, BATCH, UNITS)).astype(np.float32)


def make_layer(dtype: str = "float32") -> keras.layers.LSTM:
    keras.utils.set_random_seed(1)
    layer = keras.layers.LSTM(UNITS, return_sequences=True, return_state=True, dtype=dtype)
    layer.build((None, None, WIDTH))
    layer.cell.bias.assign(RANDOM.normal(size=layer.cell.bias.shape))
    return layer


def by_keras(layer: Any, inputs: tf.Tensor, state: list[tf.Tensor]) -> Any:
    outputs, *state = layer(tf.transpose(inputs, [1, 0, 2]), initial_state=state)
    return tf.transpose(outputs, [1, 0, 2]), state


def by_cells(layer: Any, inputs: tf.Tensor, state: list[tf.Tensor], resets: np.ndarray) -> Any:
    outputs = []
    for place, forgets in zip(inputs, resets, strict=True):
        keep = tf.cast(~forgets[:, np.newaxis], place.dtype)
        output, state = layer.cell(place, [part * keep for part in state])
        outputs.append(output)
    return tf.stack(outputs), state


def by_scan(layer: Any, inputs: tf.Tensor, state: list[tf.Tensor], resets: Any = None) -> Any:
    return cpu_lstm.scan(layer.cell, cpu_lstm.project(layer.cell, inputs), state, resets)


def everything(
    run: Any, layer: Any, *options: Any, inputs: np.ndarray = INPUTS, graph: bool = False
) -> list[np.ndarray]:
    """Outputs, last state, and the gradients to the inputs, the first state and the weights."""

    def compute() -> list[tf.Tensor]:
        given = tf.cast(inputs, layer.compute_dtype)
        state = [tf.cast(part, layer.compute_dtype) for part in STATE]
        weights = [weight.value for weight in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([given, *state])
            outputs, last = run(layer, given, state, *options)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * WEIGHTS)
            for part, weight in zip(last, STATE_WEIGHTS, strict=True):
                loss += tf.reduce_sum(tf.cast(part, tf.float32) * weight)
        return [outputs, *last, *tape.gradient(loss, [given, *state, *weights])]

    found = tf.function(compute)() if graph else compute()
    return [tf.cast(value, tf.float32).numpy() for value in found]


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-6), ("mixed_bfloat16", 0.06)])
def test_values_and_gradients_are_those_of_keras(dtype: str, tolerance: float, graph: bool) -> None:
    layer = make_layer(dtype)
    expected = everything(by_keras, layer)
    assert len(expected) == 9
    for found, value in zip(everything(by_scan, layer, graph=graph), expected, strict=True):
        np.testing.assert_allclose(found, value, atol=tolerance * np.abs(value).max())


@pytest.mark.parametrize("graph", [False, True])
def test_a_reset_forgets_the_state_before_a_place(graph: bool) -> None:
    layer = make_layer()
    assert RESETS[0].any()
    assert not RESETS[0].all()
    expected = everything(by_cells, layer, RESETS)
    found = everything(by_scan, layer, tf.constant(RESETS), graph=graph)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not np.allclose(found[0], everything(by_scan, layer)[0], atol=1e-2)


def test_a_sequence_in_two_parts_is_the_sequence() -> None:
    layer = make_layer()
    state = [tf.constant(part) for part in STATE]
    outputs, last = by_scan(layer, INPUTS, state)
    first, between = by_scan(layer, INPUTS[:2], state)
    second, end = by_scan(layer, INPUTS[2:], between)
    np.testing.assert_allclose(tf.concat([first, second], 0), outputs, atol=1e-6)
    np.testing.assert_allclose(end, last, atol=1e-6)


@pytest.mark.parametrize("num_embeddings", [IDS, SEQ_LEN * BATCH + 1])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_ids_are_projected_as_their_embeddings_are(
    num_embeddings: int, dtype: str, tolerance: float
) -> None:
    """By a table, and where there are more ids than places, without one."""
    layer = make_layer(dtype)
    embedding = keras.layers.Embedding(num_embeddings, WIDTH, "normal", dtype=dtype)
    embedding.build((None, None))
    variables = [embedding.embeddings, layer.cell.kernel, layer.cell.bias]
    weights = RANDOM.normal(size=(SEQ_LEN, BATCH, 4 * UNITS)).astype(np.float32)

    def differentiate(project: Any) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            projected = tf.cast(project(), tf.float32)
            loss = tf.reduce_sum(projected * weights)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return [np.asarray(tf.convert_to_tensor(value)) for value in (projected, *gradients)]

    expected = differentiate(lambda: cpu_lstm.project(layer.cell, embedding(TOKENS)))
    found = differentiate(
        lambda: cpu_lstm.project_ids(
            layer.cell, tf.convert_to_tensor(embedding.embeddings), tf.constant(TOKENS)
        )
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


def test_xla_compiles_it_and_rows_may_be_unknown() -> None:
    layer = make_layer()
    expected = everything(by_scan, layer)[0]
    state = [tf.constant(part) for part in STATE]
    compiled = tf.function(by_scan, jit_compile=True)
    np.testing.assert_allclose(compiled(layer, INPUTS, state)[0], expected, atol=1e-6)
    unknown = tf.TensorSpec([None, None, WIDTH], tf.float32)
    rows = tf.TensorSpec([None, UNITS], tf.float32)
    traced = tf.function(lambda inputs, state: by_scan(layer, inputs, state)).get_concrete_function(
        unknown, [rows, rows]
    )
    np.testing.assert_allclose(traced(tf.constant(INPUTS), state)[0], expected, atol=1e-6)
