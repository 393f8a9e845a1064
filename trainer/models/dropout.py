"""Dropout for data-parallel training: every replica draws its own masks."""

from typing import Any

import keras
import tensorflow as tf


class ReplicaSeedGenerator(keras.random.SeedGenerator):
    """A Keras seed generator whose stream differs from replica to replica.

    A plain generator's state is mirrored, so every replica would draw the same dropout
    mask for its rows. Here the replica's index is folded into each seed that is drawn,
    and the state stays the same everywhere: one checkpoint value restores all replicas.
    """

    def next(self, ordered: bool = True) -> tf.Tensor:
        """Returns the next seed, `[2]` of the backend's seed dtype, and advances the state."""
        seed = super().next(ordered=ordered)
        context = tf.distribute.get_replica_context()
        index = 0 if context is None else context.replica_id_in_sync_group
        return tf.random.experimental.stateless_fold_in(seed, tf.cast(index, seed.dtype))


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
        if seed is None:
            return inputs
        # What `keras.random.dropout` does, which takes no seed that is a tensor; int32 for XLA.
        seed = tf.cast(tf.math.floormod(seed, tf.int32.max - 1), tf.int32)
        return tf.nn.experimental.stateless_dropout(inputs, self.rate, seed)
