"""Dropout for data-parallel training: every replica draws its own masks."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from trainer.models.parts.fused import compiled
from trainer.models.parts.random_bits import as_bits, mix


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator whose stream differs from replica to replica.

    A plain generator's state is mirrored, so every replica would draw the same dropout
    mask for its rows. Here the replica's index is folded into each seed that is drawn,
    and the state stays the same everywhere: one checkpoint value restores all replicas.
    """

    _given: tf.Tensor | None = None

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns the next seed, `[2]` of the backend's seed dtype, and advances the state."""
        if self._given is not None:
            return self._given
        seed = super().next(ordered=ordered)
        context = tf.distribute.get_replica_context()
        index = 0 if context is None else context.replica_id_in_sync_group
        return tf.random.experimental.stateless_fold_in(seed, tf.cast(index, seed.dtype))

    @contextlib.contextmanager
    def giving(self, seed: tf.Tensor) -> Iterator[None]:
        """Inside, `next` returns a seed that was drawn before, and the state stays as it is.

        What draws for itself waits for all that drew before it.
        """
        self._given = seed
        try:
            yield
        finally:
            self._given = None


def seed_generators(model: keras.Model) -> list[ReplicaSeedGenerator]:
    """Returns those of a built model's layers of `ReplicaDropout` that drop something."""
    layers = model._flatten_layers()  # Keras has no public way to those inside others
    return [
        layer.seed_generator for layer in layers if isinstance(layer, ReplicaDropout) and layer.rate
    ]


class ReplicaDropout(keras.layers.Layer):
    """Inverted dropout that draws its own mask on every replica.

    Args:
        rate: share of the inputs set to 0, at least 0 and below 1.
        seed: start of the seed stream.
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate = rate
        self.seed_generator = ReplicaSeedGenerator(seed)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns the inputs, in training with a share of them dropped; any shape."""
        return self.apply(inputs, self.next_seed(training))

    def next_seed(self, training: bool) -> tf.Tensor | None:
        """Draws what decides which of the inputs are dropped; None where none are."""
        return self.seed_generator.next() if training and self.rate else None

    def apply(self, inputs: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
        """Drops by a seed: the same ones however often, as recomputing asks for."""
        return inputs if seed is None else drop(inputs, self.rate, seed)


def drop(inputs: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Inverted dropout by a hash of each input's place, faster than by numbers that are drawn.

    The mask is a function of rate, seed and shape alone: on any device, compiled by XLA or not. It
    is made anew for the gradient, not kept.

    Args:
        inputs: of any shape and floating type.
        rate: share of the inputs set to 0, at least 0 and below 1.
        seed: `[2]` integers that look random themselves, as those of `ReplicaSeedGenerator`.

    Returns:
        The inputs, some of them 0, the others divided by `1 - rate`.
    """

    @tf.custom_gradient
    def run(inputs: tf.Tensor) -> Any:
        return _drop(inputs, rate, seed), lambda upstream: _drop(upstream, rate, seed)

    return run(inputs)


@compiled
def _drop(inputs: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    first, second = tf.unstack(as_bits(seed))
    places = tf.reshape(tf.range(tf.size(inputs)), tf.shape(inputs))
    threshold = min(round(rate * 2**32), 2**32 - 1)
    is_kept = mix(mix(as_bits(places) + first) + second) >= tf.constant(threshold, tf.uint32)
    return tf.where(is_kept, inputs / tf.cast(1 - rate, inputs.dtype), tf.zeros([], inputs.dtype))
