"""Transformer, a decoder: pre-norm, RMSNorm, rotary positions, SwiGLU, tied embeddings.

A place attends to itself and to the `context - 1` places before it, in `call` as in
`step`, whose state is a cache of that many keys and values.
"""

import dataclasses
import math
from typing import Any

import keras
import tensorflow as tf

from trainer.models.head import Head, weights_of
from trainer.models.language_model import Architecture, LanguageModel, State
from trainer.models.parts.attention import attend, causal_mask, rotary_turns, split_and_rotate
from trainer.models.parts.dropout import ReplicaDropout
from trainer.models.parts.fused import fused
from trainer.models.parts.rms_norm import RMSNorm

_DEVIATION = 0.02  # of initial weights, as in GPT-2


def swiglu_width(units: int) -> int:
    """Width of the hidden layer of a SwiGLU: 8/3 of the model's, rounded up to eights.

    Its three matrices then have as many weights as the two of a common layer of width
    `4 * units` (Shazeer 2020, https://arxiv.org/abs/2002.05202).
    """
    return -(-8 * units // 24) * 8


class Block(keras.layers.Layer):
    """One layer of the Transformer: attention, then SwiGLU, each added to its input.

    Args:
        units: width of the model.
        heads: attention heads; `units / heads` is even.
        context: places that attention reaches, its own included.
        deviation: of the initial weights that write to the residual stream.
        dropout: share of what each of both parts adds that training drops.
        seeds: starts of the two seed streams.
        recompute: whether training keeps the block's inputs alone, and computes all else anew for
            the gradients (Chen et al. 2016, https://arxiv.org/abs/1604.06174).
    """

    def __init__(
        self,
        *,
        units: int,
        heads: int,
        context: int,
        deviation: float,
        dropout: float,
        seeds: tuple[int, int],
        recompute: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.heads, self.head_dim, self.context = heads, units // heads, context
        self._recompute = recompute
        dtype = self.dtype_policy
        self.attention_norm = RMSNorm(dtype=dtype, name="attention_norm")
        self.project_in = _dense(3 * units, _DEVIATION, "project_in", dtype)
        self.project_out = _dense(units, deviation, "project_out", dtype)
        self.attention_dropout = ReplicaDropout(
            dropout, seed=seeds[0], dtype=dtype, name="attention_dropout"
        )
        self.mlp_norm = RMSNorm(dtype=dtype, name="mlp_norm")
        self.expand = _dense(2 * swiglu_width(units), _DEVIATION, "expand", dtype)
        self.contract = _dense(units, deviation, "contract", dtype)
        self.mlp_dropout = ReplicaDropout(dropout, seed=seeds[1], dtype=dtype, name="mlp_dropout")

    def build(self, input_shape: Any) -> None:
        """Creates every weight.

        Args:
            input_shape: `(batch, places, units)`.
        """
        units = input_shape[-1]
        for layer in (self.attention_norm, self.project_in, self.project_out, self.mlp_norm):
            layer.build((None, None, units))
        self.expand.build((None, None, units))
        self.contract.build((None, None, swiglu_width(units)))
        self.attention_dropout.build((None, None, units))
        self.mlp_dropout.build((None, None, units))
        self.built = True

    def call(self, hidden: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[batch, places, units]` to the same shape."""
        # Drawn once, so that what is computed anew drops the same.
        seeds = [one.next_seed(training) for one in (self.attention_dropout, self.mlp_dropout)]

        def compute(hidden: tf.Tensor) -> tf.Tensor:
            return self._compute(hidden, *seeds)

        if training and self._recompute:
            return tf.recompute_grad(compute)(hidden)
        return compute(hidden)

    def _compute(
        self, hidden: tf.Tensor, attention_seed: tf.Tensor | None, mlp_seed: tf.Tensor | None
    ) -> tf.Tensor:
        num_places = keras.ops.shape(hidden)[1]
        queries, keys, values = self._project(hidden, tf.range(num_places))
        mask = causal_mask(num_places, self.context)
        added = self._joined(attend(queries, keys, values, mask))
        added = self.attention_dropout.apply(added, attention_seed)
        hidden, normal = self.mlp_norm.of_sum(hidden, added)
        return hidden + self.mlp_dropout.apply(self._mlp(normal), mlp_seed)

    def step(
        self, hidden: tf.Tensor, cache: list[tf.Tensor], position: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Reads one place.

        The place takes the slot `position % context`, that of the oldest once the cache
        is full. With a context of 4, position 5 finds the positions `4 1 2 3`, and
        leaves `4 5 2 3`.

        Args:
            hidden: `[batch, 1, units]`.
            cache: keys, turned by their positions, and values, each
                `[batch, heads, context, head_dim]`.
            position: int32 scalar.

        Returns:
            `[batch, 1, units]`, and the new cache.
        """
        queries, *new = self._project(hidden, position[tf.newaxis])
        slots = tf.range(self.context)
        # A select, not a scatter: reading the cache costs as much, and XLA likes it.
        is_own = (slots == position % self.context)[:, tf.newaxis]
        cache = [tf.where(is_own, one, old) for one, old in zip(new, cache, strict=True)]
        mask = (slots <= position)[tf.newaxis]
        added = self._joined(attend(queries, cache[0], cache[1], mask))
        hidden, normal = self.mlp_norm.of_sum(hidden, added)
        return hidden + self._mlp(normal), cache

    def _project(
        self, hidden: tf.Tensor, positions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Queries, keys and values, `[batch, heads, places, head_dim]`."""
        joined = self.project_in(self.attention_norm(hidden))
        batch, places, _ = keras.ops.shape(hidden)
        joined = tf.reshape(joined, [batch, places, 3, self.heads, self.head_dim])
        return split_and_rotate(joined, *rotary_turns(positions, self.head_dim))

    def _joined(self, attended: tf.Tensor) -> tf.Tensor:
        """Maps `[batch, heads, places, head_dim]` of all heads to `[batch, places, units]`."""
        batch, _, places, _ = keras.ops.shape(attended)
        attended = tf.transpose(attended, [0, 2, 1, 3])
        return self.project_out(tf.reshape(attended, [batch, places, self.heads * self.head_dim]))

    def _mlp(self, normal: tf.Tensor) -> tf.Tensor:
        return self.contract(_gate(self.expand(normal)))


@fused(by=1)
def _gate(expanded: tf.Tensor) -> tf.Tensor:
    """`[..., 2 * width]`, of SwiGLU's two products -> `[..., width]`."""
    *sizes, width = keras.ops.shape(expanded)
    # Not split: the gradient would be a `concat`, which XLA copies before it is converted.
    pairs = tf.reshape(expanded, [*sizes, 2, width // 2])
    gate, value = tf.unstack(tf.cast(pairs, tf.float32), axis=-2)
    return tf.cast(tf.nn.silu(gate) * value, expanded.dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerArchitecture(Architecture):
    """What a Transformer is; see also `Architecture`.

    Attributes:
        heads: attention heads; `units / heads` is even.
        context: places that attention reaches: the windows' `seq_len`.
    """

    heads: int
    context: int


@keras.saving.register_keras_serializable("textreel")
class Transformer(LanguageModel):
    """Embedding -> `num_layers` blocks -> RMSNorm -> products with the same embeddings.

    Args:
        architecture: the sizes.
        recompute: see `Block`.
        dtype: Keras dtype policy of the layers, such as `"mixed_bfloat16"`; logits are float32
            under any.
    """

    def __init__(
        self,
        architecture: TransformerArchitecture,
        *,
        recompute: bool = False,
        dtype: str = "float32",
    ) -> None:
        # Layers cast their own weights; the head's stay float32.
        super().__init__(name="transformer", dtype="float32")
        self.architecture = architecture
        self._options = {"recompute": recompute, "dtype": dtype}
        first_seed = architecture.seed * architecture.num_layers
        self.embedding = keras.layers.Embedding(
            architecture.vocabulary_size,
            architecture.units,
            embeddings_initializer=_normal(_DEVIATION),
            dtype=dtype,
            name="embedding",
        )
        self.blocks = [
            Block(
                units=architecture.units,
                heads=architecture.heads,
                context=architecture.context,
                # The sum of all that is added has the same size for any number of layers.
                deviation=_DEVIATION / math.sqrt(2 * architecture.num_layers),
                dropout=architecture.dropout,
                seeds=(2 * (first_seed + index), 2 * (first_seed + index) + 1),
                recompute=recompute,
                dtype=dtype,
                name=f"block_{index}",
            )
            for index in range(architecture.num_layers)
        ]
        self.norm = RMSNorm(dtype=dtype, name="norm")

    def get_config(self) -> dict[str, Any]:
        """Returns what `from_config` builds the model of: a dictionary without a nested one."""
        return {**dataclasses.asdict(self.architecture), **self._options}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Transformer":
        """Builds the model that `get_config` describes."""
        del custom_objects
        sizes = dict(config)
        options = {name: sizes.pop(name) for name in ("recompute", "dtype")}
        return cls(TransformerArchitecture(**sizes), **options)

    def build(self, input_shape: Any = None) -> None:
        """See `LanguageModel.build`."""
        del input_shape
        self.embedding.build((None, None))
        shape = (None, None, self.embedding.output_dim)
        for block in self.blocks:
            block.build(shape)
        self.norm.build(shape)
        self.built = True

    def head(self, tokens: tf.Tensor, training: bool = False) -> Head:
        """See `LanguageModel.head`."""
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = block(hidden, training=training)
        return self._head(hidden if self.architecture.targets == "sequence" else hidden[:, -1])

    def initial_state(self, batch_size: int | tf.Tensor) -> State:
        """The next position, an int32 scalar, and each block's empty cache."""
        architecture = self.architecture
        shape = [
            batch_size,
            architecture.heads,
            architecture.context,
            architecture.units // architecture.heads,
        ]
        empty = tf.zeros(shape, self.embedding.compute_dtype)
        return [tf.constant(0), [[empty, empty] for _ in self.blocks]]

    def step(self, tokens: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """See `LanguageModel.step`."""
        position, caches = state
        hidden = self.embedding(tokens)[:, tf.newaxis]
        new_caches = []
        for block, cache in zip(self.blocks, caches, strict=True):
            hidden, cache = block.step(hidden, cache, position)
            new_caches.append(cache)
        return self._head(hidden[:, 0]).logits(), [position + 1, new_caches]

    def _head(self, hidden: tf.Tensor) -> Head:
        """The embeddings are tied: they are the kernel too."""
        return Head(self.norm(hidden), weights_of(self.embedding)[0], is_transposed=True)


def _dense(width: int, deviation: float, name: str, dtype: keras.DTypePolicy) -> keras.layers.Dense:
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer=_normal(deviation), dtype=dtype, name=name
    )


def _normal(deviation: float) -> keras.initializers.Initializer:
    """A new one for every weight: one used twice would give equal values twice."""
    return keras.initializers.RandomNormal(stddev=deviation)
