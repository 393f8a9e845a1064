"""Plain Keras models: ours rebuilt of Keras's own layers, so that their files load anywhere.

A `.keras` file names the classes that it was saved from. These names are Keras's, so that
`keras.models.load_model` needs nothing of this package. Weights are copied, dropout included
as Keras has it: the model may be trained further.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from trainer.models import LanguageModel
from trainer.models.custom import CustomModel
from trainer.models.mingru import PLACES, MinGRU
from trainer.models.parts.attention import rotary_frequencies
from trainer.models.recurrent import RecurrentModel
from trainer.models.transformer import Transformer


def plain_model(model: LanguageModel) -> keras.Model:
    """Returns a model of plain Keras that gives the logits of another.

    Args:
        model: built. One of the user's own is returned as it is, with what it needs and with the
            outputs that it has: with `outputs` probabilities, these.

    Returns:
        Tokens `[batch, seq_len]` int32 -> logits, in float32.
    """
    if isinstance(model, CustomModel):
        return model.network
    config = model.get_config()
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    if isinstance(model, Transformer):
        logits = _transformer(model, config, tokens)
    elif isinstance(model, MinGRU):
        logits = _mingru(model, config, tokens)
    else:
        logits = _recurrent(model, config, tokens)
    return keras.Model(tokens, logits, name="language_model")


def _recurrent(model: RecurrentModel, config: dict[str, Any], tokens: Any) -> Any:
    hidden = _embed(model, tokens)
    kind = keras.layers.LSTM if config["cell"] == "lstm" else keras.layers.GRU
    for index, layer in enumerate(model.recurrent):
        plain = kind(
            layer.units, return_sequences=layer.return_sequences, dtype="float32", name=layer.name
        )
        hidden = _with_weights(plain, hidden, layer.get_weights())
        if config["layer_norm"]:
            norm = keras.layers.LayerNormalization(dtype="float32", name=f"norm_{index}")
            hidden = _with_weights(norm, hidden, model.norms[index].get_weights())
        hidden = _drop(config["dropout"], hidden)
    if config["tied"]:
        return _tied_logits(model, hidden)
    logits = keras.layers.Dense(config["vocabulary_size"], dtype="float32", name="logits")
    return _with_weights(logits, hidden, model.logits.get_weights())


def _mingru(model: MinGRU, config: dict[str, Any], tokens: Any) -> Any:
    hidden = _embed(model, tokens)
    for block in model.blocks:
        name, units = block.name, config["units"]
        mixed = _with_weights(_norm(f"{name}_norm"), hidden, block.norm.get_weights())
        mixed = keras.layers.ZeroPadding1D((PLACES - 1, 0))(mixed)
        convolve = keras.layers.DepthwiseConv1D(
            PLACES, use_bias=False, dtype="float32", name=f"{name}_convolve"
        )
        # [places, units] -> [places, units, 1]
        mixed = _with_weights(convolve, mixed, [np.asarray(block.taps)[..., np.newaxis]])
        recur = keras.layers.GRU(
            units, activation="linear", return_sequences=True, dtype="float32", name=f"{name}_recur"
        )
        added = _with_weights(recur, mixed, _gru_weights(*block.project.get_weights()))
        hidden = hidden + _drop(config["dropout"], added)
        added = _with_weights(_norm(f"{name}_mlp_norm"), hidden, block.mlp_norm.get_weights())
        for layer, activation in ((block.expand, "silu"), (block.contract, None)):
            dense = keras.layers.Dense(
                layer.units, activation=activation, dtype="float32", name=f"{name}_{layer.name}"
            )
            added = _with_weights(dense, added, layer.get_weights())
        hidden = hidden + _drop(config["dropout"], added)
    if config["targets"] == "last":
        hidden = hidden[:, -1]
    hidden = _with_weights(_norm("norm"), hidden, model.norm.get_weights())
    logits = keras.layers.Dense(config["vocabulary_size"], dtype="float32", name="logits")
    return _with_weights(logits, hidden, model.logits.get_weights())


def _gru_weights(kernel: np.ndarray, bias: np.ndarray) -> list[np.ndarray]:
    """The weights of a GRU that is a MinGRU: no gate looks at the state, the reset gate is idle.

    The GRU's update gate is the share of the state that stays, not that of the candidate.
    """
    (gate, candidate), (gate_bias, candidate_bias) = (
        np.split(one, 2, axis=-1) for one in (kernel, bias)
    )
    recurrent = np.zeros([gate.shape[1], 3 * gate.shape[1]], np.float32)
    kernel = np.concatenate([-gate, np.zeros_like(gate), candidate], axis=1)
    bias = np.concatenate([-gate_bias, np.zeros_like(gate_bias), candidate_bias])
    return [kernel, recurrent, np.stack([bias, np.zeros_like(bias)])]


def _transformer(model: Transformer, config: dict[str, Any], tokens: Any) -> Any:
    hidden = _embed(model, tokens)
    # Counted, for the length of a window is not known here: [batch, places].
    positions = ops.cumsum(ops.ones_like(tokens, dtype="float32"), axis=1) - 1.0
    distance = ops.expand_dims(positions, 2) - ops.expand_dims(positions, 1)
    is_seen = ops.logical_and(distance >= 0.0, distance < float(config["context"]))
    # Added to scores, [batch, 1, places, sources].
    mask = ops.expand_dims(ops.where(is_seen, 0.0, -1e30), 1)
    for block in model.blocks:
        hidden = _block(block, config, hidden, positions, mask)
    if config["targets"] == "last":
        hidden = hidden[:, -1]
    hidden = _with_weights(_norm("norm"), hidden, model.norm.get_weights())
    return _tied_logits(model, hidden)


def _tied_logits(model: Any, hidden: Any) -> Any:
    (embeddings,) = model.embedding.get_weights()
    logits = keras.layers.Dense(len(embeddings), use_bias=False, dtype="float32", name="logits")
    return _with_weights(logits, hidden, [embeddings.T])


def _block(block: Any, config: dict[str, Any], hidden: Any, positions: Any, mask: Any) -> Any:
    name, heads, head_dim = block.name, block.heads, block.head_dim
    units, dropout = heads * head_dim, config["dropout"]
    normed = _with_weights(
        _norm(f"{name}_attention_norm"), hidden, block.attention_norm.get_weights()
    )
    (kernel,) = block.project_in.get_weights()
    # [units, 3 * units] -> one product for each of the three: [batch, places, heads, head_dim]
    queries, keys, values = (
        _with_weights(
            keras.layers.EinsumDense(
                "bpu,uhd->bphd", (None, heads, head_dim), dtype="float32", name=f"{name}_{role}"
            ),
            normed,
            [part.reshape(units, heads, head_dim)],
        )
        for role, part in zip(
            ("queries", "keys", "values"), np.split(kernel, 3, axis=1), strict=True
        )
    )
    queries, keys = _rotate(queries, positions, head_dim), _rotate(keys, positions, head_dim)
    scores = ops.einsum("bqhd,bkhd->bhqk", queries, keys) / float(np.sqrt(head_dim)) + mask
    mixed = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), values)
    project_out = keras.layers.EinsumDense(
        "bphd,hdu->bpu", (None, units), dtype="float32", name=f"{name}_project_out"
    )
    (kernel,) = block.project_out.get_weights()
    added = _with_weights(project_out, mixed, [kernel.reshape(heads, head_dim, units)])
    hidden = hidden + _drop(dropout, added)
    normed = _with_weights(_norm(f"{name}_mlp_norm"), hidden, block.mlp_norm.get_weights())
    expanded = _with_weights(
        _dense(block.expand.units, f"{name}_expand"), normed, block.expand.get_weights()
    )
    gate, value = ops.split(expanded, 2, axis=-1)
    contract = _dense(units, f"{name}_contract")
    added = _with_weights(contract, ops.silu(gate) * value, block.contract.get_weights())
    return hidden + _drop(dropout, added)


def _rotate(vectors: Any, positions: Any, head_dim: int) -> Any:
    """See `trainer.models.parts.attention.rotate`."""
    # [batch, places, 1, half]
    frequencies = rotary_frequencies(head_dim).numpy().reshape(1, 1, 1, -1)
    angles = ops.expand_dims(ops.expand_dims(positions, -1), -1) * frequencies
    first, second = ops.split(vectors, 2, axis=-1)
    cosine, sine = ops.cos(angles), ops.sin(angles)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return ops.concatenate(turned, axis=-1)


def _embed(model: Any, tokens: Any) -> Any:
    embedding = model.embedding
    plain = keras.layers.Embedding(
        embedding.input_dim, embedding.output_dim, dtype="float32", name="embedding"
    )
    return _with_weights(plain, tokens, embedding.get_weights())


def _dense(units: int, name: str) -> keras.layers.Layer:
    return keras.layers.Dense(units, use_bias=False, dtype="float32", name=name)


def _norm(name: str) -> keras.layers.Layer:
    return keras.layers.RMSNormalization(dtype="float32", name=name)


def _drop(rate: float, inputs: Any) -> Any:
    return keras.layers.Dropout(rate, dtype="float32")(inputs) if rate else inputs


def _with_weights(layer: keras.layers.Layer, inputs: Any, weights: list[np.ndarray]) -> Any:
    outputs = layer(inputs)
    layer.set_weights(weights)
    return outputs
