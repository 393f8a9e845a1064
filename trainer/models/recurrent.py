"""Recurrent models: Embedding -> LSTM or GRU layers -> logits over the vocabulary."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from trainer.models.head import Head, weights_of
from trainer.models.language_model import Architecture, LanguageModel, State
from trainer.models.parts import cpu_gru, cpu_lstm
from trainer.models.parts.devices import on_cpu
from trainer.models.parts.dropout import ReplicaDropout
from trainer.models.parts.sequences import project, project_ids, time_major

_WEIGHT_SEEDS = 2**30  # streams that drop weights begin here, far from those that drop outputs
_LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
_SCANS = {"lstm": cpu_lstm.scan, "gru": cpu_gru.scan}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentArchitecture(Architecture):
    """What a recurrent model is; see also `Architecture`.

    Attributes:
        cell: `"lstm"` or `"gru"`.
        embedding_dim: size of an embedding vector.
        embedding_dropout: share of the ids whose vectors are 0 in a training step, everywhere.
        recurrent_dropout: share of the weights from state to state that a training step drops.
        tied: logits are products with the embeddings, whose size is that of the units.
        layer_norm: what each recurrent layer gives is normalised.
    """

    cell: str
    embedding_dim: int
    embedding_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    tied: bool = False
    layer_norm: bool = False


@keras.saving.register_keras_serializable("textreel")
class RecurrentModel(LanguageModel):
    """Embedding -> `num_layers` recurrent layers, each followed by dropout -> Dense logits.

    Dropout acts on what leaves a layer (Zaremba et al. 2014, https://arxiv.org/abs/1409.2329);
    on request also on the embeddings of whole ids, and on the weights of the recurrence, the same
    at all places of a step (Merity et al. 2017, https://arxiv.org/abs/1708.02182).

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
        # Layers cast their own weights; the head's stay float32.
        super().__init__(name="recurrent_model", dtype="float32")
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
        self.norms = [
            keras.layers.LayerNormalization(dtype=dtype, name=f"norm_{index}")
            for index in range(num_layers if architecture.layer_norm else 0)
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
        first_seed = _WEIGHT_SEEDS + architecture.seed * (num_layers + 1)
        self.embedding_dropout = (
            _weight_dropout(architecture.embedding_dropout, first_seed)
            if architecture.embedding_dropout
            else None
        )
        self.recurrent_dropouts = [
            _weight_dropout(architecture.recurrent_dropout, first_seed + 1 + index)
            for index in range(num_layers if architecture.recurrent_dropout else 0)
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
        for norm in self.norms:
            norm.build((None, None, width))
        if not self.architecture.tied:
            self.logits.build((None, width))
        self.built = True

    def head(self, tokens: tf.Tensor, training: bool = False) -> Head:
        """See `LanguageModel.head`."""
        if self._is_by_hand(training):
            state = self.initial_state(tf.shape(tokens)[0])
            return self._read_by_hand(tokens, None, state, training)[0]
        hidden = self._embed(tokens, training)
        for index, layer in enumerate(self.recurrent):
            hidden = self._hand_on(index, layer(hidden, training=training), training)
        return self._head(hidden)

    def read(
        self, tokens: tf.Tensor, resets: tf.Tensor, state: State, training: bool = False
    ) -> tuple[Head, State]:
        """See `LanguageModel.read`. Runs the cells one by one: cuDNN's kernels cannot forget."""
        if self._is_by_hand(training):
            return self._read_by_hand(tokens, resets, state, training)
        hidden = self._embed(tokens, training)
        # [seq_len, batch, 1]
        keep = tf.where(resets, tf.zeros([], hidden.dtype), tf.ones([], hidden.dtype))
        keep = tf.transpose(keep)[:, :, tf.newaxis]
        new_state = []
        for index, (layer, layer_state) in enumerate(zip(self.recurrent, state, strict=True)):
            hidden, layer_state = _scan(layer.cell, hidden, keep, layer_state)
            hidden = self._hand_on(index, hidden, training)
            new_state.append(layer_state)
        return self._head(hidden), new_state

    def _is_by_hand(self, training: bool) -> bool:
        """Whether our own loop reads: it is fast on CPUs, and takes weights that are dropped."""
        return (training and bool(self.recurrent_dropouts)) or on_cpu()

    def _read_by_hand(
        self, tokens: tf.Tensor, resets: tf.Tensor | None, state: State, training: bool
    ) -> tuple[Head, State]:
        """`read` by our own loops, time-major up to the last layer's outputs; None: no resets."""
        scan = _SCANS[self.architecture.cell]
        resets = None if resets is None else time_major(resets)
        hidden = time_major(tokens)
        new_state = []
        for index, layer in enumerate(self.recurrent):
            cell = layer.cell
            if index:
                projected = project(cell, hidden)
            else:
                projected = project_ids(cell, self._embeddings(training), hidden)
            kernel = tf.convert_to_tensor(cell.recurrent_kernel)
            if self.recurrent_dropouts:
                kernel = self.recurrent_dropouts[index](kernel, training=training)
            hidden, cell_state = scan(
                cell, projected, state[index], resets, recurrent_kernel=kernel
            )
            new_state.append(cell_state)
            if not layer.return_sequences:
                hidden = hidden[-1:]
            hidden = self._hand_on(index, hidden, training)
        hidden = tf.transpose(hidden, [1, 0, 2])
        hidden = hidden if self.recurrent[-1].return_sequences else hidden[:, 0]
        return self._head(hidden), new_state

    def _embeddings(self, training: bool) -> tf.Tensor:
        """The vectors of all ids, float32; in training, of a share of the ids 0."""
        vectors = tf.convert_to_tensor(self.embedding.embeddings)
        if not training or self.embedding_dropout is None:
            return vectors
        return vectors * self.embedding_dropout(tf.ones([vectors.shape[0], 1]), training=True)

    def _embed(self, tokens: tf.Tensor, training: bool) -> tf.Tensor:
        if not training or self.embedding_dropout is None:
            return self.embedding(tokens)
        vectors = tf.gather(self._embeddings(training), tokens)
        return tf.cast(vectors, self.embedding.compute_dtype)

    def _hand_on(self, index: int, hidden: tf.Tensor, training: bool) -> tf.Tensor:
        """What a layer's outputs become before the next layer, or the logits, get them."""
        if self.norms:
            hidden = self.norms[index](hidden)
        return self.dropouts[index](hidden, training=training)

    def _head(self, hidden: tf.Tensor) -> Head:
        if self.architecture.tied:
            return Head(hidden, weights_of(self.embedding)[0], is_transposed=True)
        return Head(hidden, *weights_of(self.logits))

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Zeros: each layer's `[hidden, cell]` (LSTM) or `[hidden]`, `[batch, units]`."""
        return [layer.cell.get_initial_state(batch_size) for layer in self.recurrent]

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.step`."""
        hidden = self.embedding(tokens)
        new_state = []
        for index, (layer, layer_state) in enumerate(zip(self.recurrent, state, strict=True)):
            hidden, layer_state = layer.cell(hidden, layer_state)
            hidden = self._hand_on(index, hidden, False)
            new_state.append(layer_state)
        return self._head(hidden).logits(), new_state


def _weight_dropout(rate: float, seed: int) -> ReplicaDropout:
    """Of weights, which are float32 under any policy."""
    return ReplicaDropout(rate, seed=seed, dtype="float32")


def _make_layer(
    architecture: RecurrentArchitecture, *, use_cudnn: bool, **options: Any
) -> keras.layers.Layer:
    return _LAYERS[architecture.cell](
        architecture.units,
        use_cudnn="auto" if use_cudnn else False,
        seed=architecture.seed,  # of a dropout that is not used, but is saved
        **options,
    )


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
