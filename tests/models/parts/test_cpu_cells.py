"""cpu_lstm, cpu_gru: the values and gradients of Keras's layers, which are the oracle."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.models.parts import cpu_gru, cpu_lstm
from trainer.models.parts.sequences import project, project_ids

SEQ_LEN, BATCH, WIDTH, UNITS, IDS = 6, 3, 5, 4, 7
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(SEQ_LEN, BATCH, WIDTH)).astype(np.float32)
TOKENS = RANDOM.integers(IDS, size=(SEQ_LEN, BATCH)).astype(np.int32)
STATES = {
    name: list(RANDOM.normal(size=(parts, BATCH, UNITS)).astype(np.float32))
    for name, parts in (("lstm", 2), ("gru", 1))
}
RESETS = RANDOM.random((SEQ_LEN, BATCH)) < 0.3
RESETS[0] = [True, False, False]
# What a loss might ask of the outputs and of the state after them.
WEIGHTS = RANDOM.normal(size=(SEQ_LEN, BATCH, UNITS)).astype(np.float32)
STATE_WEIGHTS = RANDOM.normal(size=(2, BATCH, UNITS)).astype(np.float32)
LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
SCANS = {"lstm": cpu_lstm.scan, "gru": cpu_gru.scan}

cells = pytest.mark.parametrize("cell", ["lstm", "gru"])
every_way = pytest.mark.parametrize("how", ["eager", "graph", "compiled"])
every_dtype = pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("mixed_bfloat16", 0.06)]
)


def make_layer(cell: str, dtype: str = "float32") -> Any:
    keras.utils.set_random_seed(1)
    layer = LAYERS[cell](UNITS, return_sequences=True, return_state=True, dtype=dtype, name=cell)
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
    cell, projected = layer.cell, project(layer.cell, inputs)
    kernel = tf.convert_to_tensor(cell.recurrent_kernel)
    return SCANS[layer.name](cell, projected, state, resets, recurrent_kernel=kernel)


def everything(
    run: Any, layer: Any, *options: Any, seq_len: int = SEQ_LEN, how: str = "eager"
) -> list[np.ndarray]:
    """Outputs, last state, and the gradients to the inputs, the first state and the weights."""

    def compute() -> list[tf.Tensor]:
        given = tf.cast(INPUTS[:seq_len], layer.compute_dtype)
        state = [tf.cast(part, layer.compute_dtype) for part in STATES[layer.name]]
        weights = [weight.value for weight in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch([given, *state])
            outputs, last = run(layer, given, state, *options)
            loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * WEIGHTS[:seq_len])
            for part, weight in zip(last, STATE_WEIGHTS, strict=False):
                loss += tf.reduce_sum(tf.cast(part, tf.float32) * weight)
        return [outputs, *last, *tape.gradient(loss, [given, *state, *weights])]

    if how != "eager":
        compute = tf.function(compute, jit_compile=how == "compiled")
    found = compute()
    return [tf.cast(value, tf.float32).numpy() for value in found]


@cells
@every_way
@every_dtype
@pytest.mark.parametrize("seq_len", [SEQ_LEN, 1])
def test_values_and_gradients_are_those_of_keras(
    cell: str, dtype: str, tolerance: float, how: str, seq_len: int
) -> None:
    layer = make_layer(cell, dtype)
    expected = everything(by_keras, layer, seq_len=seq_len)
    assert len(expected) == 5 + 2 * len(STATES[cell])
    found = everything(by_scan, layer, seq_len=seq_len, how=how)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


@cells
@every_way
@every_dtype
def test_a_reset_forgets_the_state_before_a_place(
    cell: str, dtype: str, tolerance: float, how: str
) -> None:
    layer = make_layer(cell, dtype)
    expected = everything(by_cells, layer, RESETS)
    found = everything(by_scan, layer, tf.constant(RESETS), how=how)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())
    assert not np.allclose(found[0], everything(by_scan, layer)[0], atol=1e-2)


@cells
def test_a_sequence_in_two_parts_is_the_sequence(cell: str) -> None:
    layer = make_layer(cell)
    state = [tf.constant(part) for part in STATES[cell]]
    outputs, last = by_scan(layer, INPUTS, state)
    first, between = by_scan(layer, INPUTS[:2], state)
    second, end = by_scan(layer, INPUTS[2:], between)
    np.testing.assert_allclose(tf.concat([first, second], 0), outputs, atol=1e-6)
    np.testing.assert_allclose(end, last, atol=1e-6)


@cells
@pytest.mark.parametrize("num_embeddings", [IDS, SEQ_LEN * BATCH + 1])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.03)])
def test_ids_are_projected_as_their_embeddings_are(
    cell: str, num_embeddings: int, dtype: str, tolerance: float
) -> None:
    """By a table, and where there are more ids than places, without one."""
    layer = make_layer(cell, dtype)
    embedding = keras.layers.Embedding(num_embeddings, WIDTH, "normal", dtype=dtype)
    embedding.build((None, None))
    variables = [embedding.embeddings, layer.cell.kernel, layer.cell.bias]
    width = layer.cell.kernel.shape[1]
    weights = RANDOM.normal(size=(SEQ_LEN, BATCH, width)).astype(np.float32)

    def differentiate(run: Any) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            projected = tf.cast(run(), tf.float32)
            loss = tf.reduce_sum(projected * weights)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        return [np.asarray(tf.convert_to_tensor(value)) for value in (projected, *gradients)]

    expected = differentiate(lambda: project(layer.cell, embedding(TOKENS)))
    found = differentiate(
        lambda: project_ids(
            layer.cell, tf.convert_to_tensor(embedding.embeddings), tf.constant(TOKENS)
        )
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=tolerance * np.abs(other).max())


@cells
def test_xla_compiles_it_and_rows_may_be_unknown(cell: str) -> None:
    layer = make_layer(cell)
    expected = everything(by_scan, layer)[0]
    state = [tf.constant(part) for part in STATES[cell]]
    compiled = tf.function(by_scan, jit_compile=True)
    np.testing.assert_allclose(compiled(layer, INPUTS, state)[0], expected, atol=1e-6)
    unknown = tf.TensorSpec([None, None, WIDTH], tf.float32)
    rows = tf.TensorSpec([None, UNITS], tf.float32)
    traced = tf.function(lambda inputs, state: by_scan(layer, inputs, state)).get_concrete_function(
        unknown, [rows] * len(state)
    )
    np.testing.assert_allclose(traced(tf.constant(INPUTS), state)[0], expected, atol=1e-6)
