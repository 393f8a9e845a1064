"""MinGRU: a recurrent model whose gates do not look at the state, so that places go in parallel.

Feng et al. 2024, "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201. With `x` the input:

    z[t] = sigmoid(x[t] Wz + bz)
    h[t] = (1 - z[t]) h[t-1] + z[t] (x[t] Wh + bh)

As in the paper's language models, a convolution over a few places stands before the recurrence and
a small network behind it, each part adds to what it reads, and reads it normalised. Arrays are
time-major: `[seq_len, batch, ...]`.
"""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from trainer.models.head import Head, weights_of
from trainer.models.language_model import Architecture, LanguageModel, State
from trainer.models.parts.dropout import ReplicaDropout
from trainer.models.parts.fused import fused
from trainer.models.parts.linear_recurrence import linear_recurrence
from trainer.models.parts.rms_norm import RMSNorm, normalised
from trainer.models.parts.sequences import time_major

PLACES = 4  # that a convolution reads: its own and those before
_WIDENING = 2  # of the network inside a block


class Block(keras.layers.Layer):
    """One layer of a MinGRU: convolution and recurrence, then two dense layers.

    What each of both parts gives is added to its input.

    Args:
        units: width of the model.
        dropout: share of what each of both parts adds that training drops.
        seeds: starts of the two seed streams.
    """

    def __init__(
        self, units: int, *, dropout: float, seeds: tuple[int, int], **options: Any
    ) -> None:
        super().__init__(**options)
        self.units = units
        dtype = self.dtype_policy
        self.norm = RMSNorm(dtype=dtype, name="input_norm")
        self.project = keras.layers.Dense(2 * units, dtype=dtype, name="project")
        self.dropout = ReplicaDropout(dropout, seed=seeds[0], dtype=dtype, name="dropout")
        self.mlp_norm = RMSNorm(dtype=dtype, name="mlp_norm")
        self.expand = keras.layers.Dense(_WIDENING * units, dtype=dtype, name="expand")
        self.contract = keras.layers.Dense(units, dtype=dtype, name="contract")
        self.mlp_dropout = ReplicaDropout(dropout, seed=seeds[1], dtype=dtype, name="mlp_dropout")

    def build(self, input_shape: Any) -> None:
        """Creates every weight.

        Args:
            input_shape: `(seq_len, batch, units)`.
        """
        self.taps = self.add_weight(
            shape=(PLACES, self.units), initializer=_only_the_last, autocast=False, name="taps"
        )
        parts = (self.norm, self.project, self.dropout, self.mlp_norm, self.expand)
        for layer in (*parts, self.mlp_dropout):
            layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.expand.units))
        self.built = True

    def read(
        self,
        hidden: tf.Tensor,
        resets: tf.Tensor | None,
        state: list[tf.Tensor],
        training: bool = False,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Reads places that follow what a state has seen.

        Args:
            hidden: `[seq_len, batch, units]`; `seq_len` is static.
            resets: `[seq_len, batch]` bool, True where a row forgets what came before a place;
                None for nowhere.
            state: the state of the recurrence, `[batch, units]` float32, and the last inputs of
                the convolution, `[batch, PLACES - 1, units]`.
            training: whether dropout acts.

        Returns:
            `[seq_len, batch, units]`, and the state after the last place.
        """
        scale, taps = (tf.convert_to_tensor(one.value) for one in (self.norm.scale, self.taps))
        mixed, last_inputs = _mix(hidden, scale, taps, state[1], resets)
        added, last_state = _recur(self.project(mixed), state[0], resets)
        added = self.dropout(added, training=training)
        hidden, normal = self.mlp_norm.of_sum(hidden, added)
        added = self.contract(_silu(self.expand(normal)))
        hidden += self.mlp_dropout(added, training=training)
        return hidden, [last_state, last_inputs]


@fused(by=4)
def _mix(
    hidden: tf.Tensor,
    scale: tf.Tensor,
    taps: tf.Tensor,
    last_inputs: tf.Tensor,
    resets: tf.Tensor | None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The convolution of normalised places: each and those before it, every unit with its weights.

    A reset between two places hides the earlier from the later one.

    Args:
        hidden: as of `Block.read`, and so are `last_inputs`, of the state, and `resets`.
        scale: of the norm, `[units]` float32.
        taps: `[PLACES, units]` float32.
        last_inputs: before the first place.
        resets: or None.

    Returns:
        `[seq_len, batch, units]` and the last inputs, both of `hidden`'s dtype.
    """
    seq_len, dtype = hidden.shape[0], hidden.dtype
    inputs = normalised(tf.cast(hidden, tf.float32), scale)
    before = tf.transpose(tf.cast(last_inputs, tf.float32), [1, 0, 2])
    known = tf.concat([before, inputs], axis=0)
    mixed = taps[-1] * inputs
    if resets is not None:
        keep = tf.cast(~resets, tf.float32)[..., tf.newaxis]
        keep = tf.pad(keep, [[PLACES - 1, 0], [0, 0], [0, 0]], constant_values=1)
    seen: Any = 1  # whether a place reads the one `distance` before it
    for distance in range(1, PLACES):
        begin = PLACES - 1 - distance
        if resets is not None:
            seen *= keep[begin + 1 : begin + 1 + seq_len]
        mixed += taps[begin] * known[begin : begin + seq_len] * seen
    last_inputs = known[seq_len:]
    if resets is not None:
        # What the place after the last one reads: nothing from before the last reset.
        last_inputs *= tf.math.cumprod(keep[seq_len:], exclusive=True, reverse=True)
    last_inputs = tf.transpose(last_inputs, [1, 0, 2])
    return tf.cast(mixed, dtype), tf.cast(last_inputs, dtype)


@fused(by=2)
def _recur(
    projected: tf.Tensor, state: tf.Tensor, resets: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """The recurrence.

    Args:
        projected: gates and candidates, `[seq_len, batch, 2 * units]`.
        state: before the first place, `[batch, units]` float32.
        resets: as of `Block.read`.

    Returns:
        The states, `[seq_len, batch, units]` of `projected`'s dtype, and the last one, float32.
    """
    gate, candidate = tf.split(tf.cast(projected, tf.float32), 2, axis=-1)
    decay = tf.sigmoid(-gate)
    if resets is not None:
        decay = tf.where(resets[..., tf.newaxis], 0.0, decay)
    states = linear_recurrence(decay, tf.sigmoid(gate) * candidate, state)
    return tf.cast(states, projected.dtype), states[-1]


@fused(by=1)
def _silu(inputs: tf.Tensor) -> tf.Tensor:
    """`x * sigmoid(x)` of any shape, computed in float32."""
    return tf.cast(tf.nn.silu(tf.cast(inputs, tf.float32)), inputs.dtype)


def _only_the_last(shape: Any, dtype: Any = None) -> tf.Tensor:
    """Weights of a convolution that changes nothing yet."""
    return tf.concat([tf.zeros([shape[0] - 1, shape[1]], dtype), tf.ones([1, shape[1]], dtype)], 0)


@keras.saving.register_keras_serializable("textreel")
class MinGRU(LanguageModel):
    """Embedding -> `num_layers` blocks -> RMSNorm -> Dense logits.

    Args:
        architecture: the sizes.
        dtype: Keras dtype policy of the layers, such as `"mixed_bfloat16"`; states and logits are
            float32 under any.
    """

    def __init__(self, architecture: Architecture, *, dtype: str = "float32") -> None:
        super().__init__(name="mingru", dtype="float32")
        self.architecture = architecture
        self._dtype_policy_name = dtype
        first_seed = architecture.seed * architecture.num_layers
        self.embedding = keras.layers.Embedding(
            architecture.vocabulary_size, architecture.units, dtype=dtype, name="embedding"
        )
        self.blocks = [
            Block(
                architecture.units,
                dropout=architecture.dropout,
                seeds=(2 * (first_seed + index), 2 * (first_seed + index) + 1),
                dtype=dtype,
                name=f"block_{index}",
            )
            for index in range(architecture.num_layers)
        ]
        self.norm = RMSNorm(dtype=dtype, name="norm")
        # In float32 under any policy: a loss needs the digits.
        self.logits = keras.layers.Dense(
            architecture.vocabulary_size, dtype="float32", name="logits"
        )

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` builds the model of: a dictionary without a nested one."""
        return {**dataclasses.asdict(self.architecture), "dtype": self._dtype_policy_name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "MinGRU":
        """Builds the model that `get_config` describes."""
        del custom_objects
        sizes = dict(config)
        dtype = sizes.pop("dtype")
        return cls(Architecture(**sizes), dtype=dtype)

    def build(self, input_shape: Any = None) -> None:
        """See `LanguageModel.build`."""
        del input_shape
        self.embedding.build((None, None))
        shape = (None, None, self.architecture.units)
        for layer in (*self.blocks, self.norm, self.logits):
            layer.build(shape)
        self.built = True

    def head(self, tokens: tf.Tensor, training: bool = False) -> Head:
        """See `LanguageModel.head`."""
        state = self.initial_state(tf.shape(tokens)[0])
        hidden, _ = self._read(time_major(tokens), None, state, training)
        if self.architecture.targets == "last":
            return self._head(hidden[-1])
        return self._head(tf.transpose(hidden, [1, 0, 2]))

    def read(
        self, tokens: tf.Tensor, resets: tf.Tensor, state: State, training: bool = False
    ) -> tuple[Head, State]:
        """See `LanguageModel.read`."""
        hidden, state = self._read(time_major(tokens), time_major(resets), state, training)
        return self._head(tf.transpose(hidden, [1, 0, 2])), state

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.step`."""
        hidden, state = self._read(tokens[tf.newaxis], None, state, False)
        return self._head(hidden[0]).logits(), state

    def _head(self, hidden: tf.Tensor) -> Head:
        return Head(self.norm(hidden), *weights_of(self.logits))

    def _read(
        self, tokens: tf.Tensor, resets: tf.Tensor | None, state: State, training: bool
    ) -> tuple[tf.Tensor, State]:
        hidden, new_state = self.embedding(tokens), []
        for block, block_state in zip(self.blocks, state, strict=True):
            hidden, block_state = block.read(hidden, resets, block_state, training)
            new_state.append(block_state)
        return hidden, new_state

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """Zeros: each block's recurrence, float32, and what its convolution read last."""
        units = self.architecture.units
        return [
            [
                tf.zeros([batch_size, units]),
                tf.zeros([batch_size, PLACES - 1, units], self.embedding.compute_dtype),
            ]
            for _ in self.blocks
        ]
