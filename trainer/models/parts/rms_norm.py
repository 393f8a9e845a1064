"""RMSNorm, of a tensor or of a sum: one pass over memory on a CPU."""

from typing import Any

import keras
import tensorflow as tf

from trainer.models.parts.fused import fused

_EPSILON = 1e-6  # Keras's


class RMSNorm(keras.layers.Layer):
    """`keras.layers.RMSNormalization`, with a scale that keeps its digits, or after a sum.

    Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467. It computes in float32, as Keras's
    does, which rounds the scale to what layers compute in.

    Attributes:
        scale: `[width]` float32.
    """

    scale: keras.Variable

    def build(self, input_shape: Any) -> None:
        """Creates the scale of the inputs' last axis."""
        self.scale = self.add_weight(
            shape=input_shape[-1:], initializer="ones", autocast=False, name="scale"
        )
        self.built = True

    def call(self, hidden: tf.Tensor) -> tf.Tensor:
        """Maps `[..., width]` to the same shape and dtype."""
        return _normalise(hidden, tf.convert_to_tensor(self.scale.value))

    def of_sum(self, hidden: tf.Tensor, added: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the sum of two tensors of one shape and dtype, and that normalised, as they."""
        return _add_and_normalise(hidden, added, tf.convert_to_tensor(self.scale.value))


def normalised(hidden: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Maps `[..., width]` to the same shape and dtype, as part of a larger function."""
    wide = tf.cast(hidden, tf.float32)
    mean = tf.reduce_mean(wide * wide, axis=-1, keepdims=True)
    return tf.cast(wide * tf.math.rsqrt(mean + _EPSILON) * scale, hidden.dtype)


_normalise = fused(by=2)(normalised)


@fused(by=3)
def _add_and_normalise(
    hidden: tf.Tensor, added: tf.Tensor, scale: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    hidden = hidden + added
    return hidden, normalised(hidden, scale)
