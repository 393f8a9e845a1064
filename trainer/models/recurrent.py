"""Recurrent models: Embedding -> LSTM, GRU or MinGRU layers -> logits over the vocabulary."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from trainer.models import cpu_lstm
from trainer.models.dropout import ReplicaDropout
from trainer.models.language_model import LanguageModel, State
from trainer.models.mingru import MinGRU

_LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentArchitecture:
    """What a recurrent model is, wherever it computes.

    Attributes:
        cell: `"lstm"`, `"gru"` or `"mingru"`.
        vocabulary_size: number of token ids.
        num_layers: number of recurrent layers.
        units: units of each recurrent layer.
        embedding_dim: size of an embedding vector.
        dropout: share of each recurrent layer's outputs that training drops.
        targets: `"sequence"` for logits at every place of a window, `"last"` for the
            last place alone.
        seed: start of the dropout layers' seed streams. Initial weights come from
            Keras' global seed (`keras.utils.set_random_seed`).
    """

    cell: str
    vocabulary_size: int
    num_layers: int
    units: int
    embedding_dim: int
    dropout: float = 0.0
    targets: str = "sequence"
    seed: int = 0


@keras.saving.register_keras_serializable("textreel")
class RecurrentModel(LanguageModel):
    """Embedding -> `num_layers` recurrent layers, each followed by dropout -> Dense logits.

    Dropout acts on what leaves a layer, never on the recurrence (Zaremba et al. 2014,
    https://arxiv.org/abs/1409.2329).

    Args:
        architecture: the kind of the layers and their sizes.
        use_cudnn: let a GPU use its cuDNN kernel, which XLA cannot compile.
        dtype: Keras dtype policy of the layers, such as `"mixed_bfloat16"`; logits are float32
            under any.
    """

    def __init__(
        self,
        architecture: RecurrentArchitecture,
        *,
        use_cudnn: bool = True,
        dtype: str = "float32",
    ) -> None:
        super().__init__(name="recurrent_model", dtype=dtype)
        self.architecture = architecture
        self._options = {"use_cudnn": use_cudnn, "dtype": dtype}
        num_layers = architecture.num_layers
        self.embedding = keras.layers.Embedding(
            architecture.vocabulary_size, architecture.embedding_dim, dtype=dtype, name="embedding"
        )
        self.recurrent = [
            _make_layer(
                architecture,
                return_sequences=architecture.targets == "sequence" or index + 1 < num_layers,
                use_cudnn=use_cudnn,
                dtype=dtype,
                name=f"{architecture.cell}_{index}",
            )
            for index in range(num_layers)
        ]
        self.dropouts = [
            ReplicaDropout(
                architecture.dropout,
                seed=architecture.seed * num_layers + index,
                dtype=dtype,
                name=f"dropout_{index}",
            )
            for index in range(num_layers)
        ]
        # In float32 under any policy: a loss needs the digits.
        self.logits = keras.layers.Dense(
            architecture.vocabulary_size, dtype="float32", name="logits"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` builds the model of: a dictionary without a nested one."""
        return {**dataclasses.asdict(self.architecture), **self._options}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RecurrentModel":
        """Builds the model that `get_config` describes."""
        del custom_objects
        sizes = dict(config)
        options = {name: sizes.pop(name) for name in ("use_cudnn", "dtype")}
        return cls(RecurrentArchitecture(**sizes), **options)

    def build(self, input_shape: Any = None) -> None:
        """See `LanguageModel.build`."""
        del input_shape
        self.embedding.build((None, None))
        width = self.embedding.output_dim
        for layer, dropout in zip(self.recurrent, self.dropouts, strict=True):
            layer.build((None, None, width))
            width = layer.units
            dropout.build((None, None, width))
        self.logits.build((None, width))
        self.built = True

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See `LanguageModel.call`."""
        if self._is_fast_on_cpu():
            state = self.initial_state(tf.shape(tokens)[0])
            return self._read_on_cpu(tokens, None, state, training)[0]
        hidden = self.embedding(tokens)
        for layer, dropout in zip(self.recurrent, self.dropouts, strict=True):
            hidden = dropout(layer(hidden, training=training), training=training)
        return self.logits(hidden)

    def read(
        self, tokens: tf.Tensor, resets: tf.Tensor, state: State, training: bool = False
    ) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.read`. Runs the cells one by one: cuDNN's kernels cannot forget."""
        if self._is_fast_on_cpu():
            return self._read_on_cpu(tokens, resets, state, training)
        hidden = self.embedding(tokens)
        # [seq_len, batch, 1]
        keep = tf.where(resets, tf.zeros([], hidden.dtype), tf.ones([], hidden.dtype))
        keep = tf.transpose(keep)[:, :, tf.newaxis]
        new_state = []
        for layer, dropout, layer_state in zip(self.recurrent, self.dropouts, state, strict=True):
            if isinstance(layer, MinGRU):
                hidden, layer_state = layer.scan(hidden, tf.transpose(keep, [1, 0, 2]), layer_state)
            else:
                hidden, layer_state = _scan(layer.cell, hidden, keep, layer_state)
            hidden = dropout(hidden, training=training)
            new_state.append(layer_state)
        return self.logits(hidden), new_state

    def _is_fast_on_cpu(self) -> bool:
        return self.architecture.cell == "lstm" and cpu_lstm.on_cpu()

    def _read_on_cpu(
        self, tokens: tf.Tensor, resets: tf.Tensor | None, state: State, training: bool
    ) -> tuple[tf.Tensor, State]:
        """`read` by `cpu_lstm`, time-major up to the logits, which are fewer; None: no resets."""
        resets = None if resets is None else _time_major(resets)
        cells = [layer.cell for layer in self.recurrent]
        hidden = _time_major(tokens)
        new_state = []
        for index, (cell, dropout) in enumerate(zip(cells, self.dropouts, strict=True)):
            if index:
                projected = cpu_lstm.project(cell, hidden)
            else:
                projected = cpu_lstm.project_ids(cell, self.embedding, hidden)
            hidden, cell_state = cpu_lstm.scan(cell, projected, state[index], resets)
            new_state.append(cell_state)
            if not self.recurrent[index].return_sequences:
                hidden = hidden[-1:]
            hidden = dropout(hidden, training=training)
        logits = tf.transpose(self.logits(hidden), [1, 0, 2])
        return (logits if self.recurrent[-1].return_sequences else logits[:, 0]), new_state

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Zeros: each layer's `[hidden, cell]` (LSTM) or `[hidden]`, `[batch, units]`."""
        return [layer.cell.get_initial_state(batch_size) for layer in self.recurrent]

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.step`."""
        hidden = self.embedding(tokens)
        new_state = []
        for layer, layer_state in zip(self.recurrent, state, strict=True):
            hidden, layer_state = layer.cell(hidden, layer_state)
            new_state.append(layer_state)
        return self.logits(hidden), new_state


def _make_layer(
    architecture: RecurrentArchitecture, *, use_cudnn: bool, **options: Any
) -> keras.layers.Layer:
    if architecture.cell == "mingru":
        return MinGRU(architecture.units, **options)
    return _LAYERS[architecture.cell](
        architecture.units,
        use_cudnn="auto" if use_cudnn else False,
        seed=architecture.seed,  # of a dropout that is not used, but is saved
        **options,
    )


def _time_major(rows: tf.Tensor) -> tf.Tensor:
    """`[batch, seq_len]` -> `[seq_len, batch]`, of integers or booleans.

    A gather: oneDNN transposes these on some processors only, and complains aloud on others.
    """
    batch, seq_len = keras.ops.shape(rows)
    indices = tf.range(seq_len)[:, tf.newaxis] + tf.range(batch) * seq_len
    return tf.gather(tf.reshape(rows, [-1]), indices)


def _scan(
    cell: Any, inputs: tf.Tensor, keep: tf.Tensor, state: list[tf.Tensor]
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Runs a cell over `[batch, seq_len, width]`, its state multiplied by `keep` before a place.

    Args:
        cell: Keras's, whose output is the first part of its state.
        inputs: of every place.
        keep: `[seq_len, batch, 1]`, 0 where the state is forgotten, else 1.
        state: before the first place.

    Returns:
        The outputs, `[batch, seq_len, units]`, and the state after the last place.
    """

    def advance(state: list[tf.Tensor], place: tuple[tf.Tensor, tf.Tensor]) -> list[tf.Tensor]:
        now, keep_now = place
        _, state = cell(now, [part * keep_now for part in state])
        return state

    states = tf.scan(advance, (tf.transpose(inputs, [1, 0, 2]), keep), state)
    return tf.transpose(states[0], [1, 0, 2]), [part[-1] for part in states]
