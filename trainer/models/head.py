"""Head of a model: its last layer, from features to logits, before it is computed."""

from typing import NamedTuple

import keras
import tensorflow as tf


class Head(NamedTuple):
    """Logits that are not computed yet: `features @ kernel + bias`.

    All logits of a batch may need more memory than the rest of the model. A loss takes them part
    by part (see `trainer.steps.cross_entropy`).

    Attributes:
        features: `[..., units]`, of the dtype in which layers compute; without a kernel, the
            logits themselves, `[..., vocabulary_size]` float32.
        kernel: `[units, vocabulary_size]` float32; None where the logits are there.
        bias: `[vocabulary_size]` float32; None for none.
        is_transposed: whether the kernel is `[vocabulary_size, units]`, as embeddings are.
    """

    features: tf.Tensor
    kernel: tf.Tensor | None = None
    bias: tf.Tensor | None = None
    is_transposed: bool = False

    @property
    def num_ids(self) -> int:
        """Number of logits in a row: the size of the vocabulary."""
        if self.kernel is None:
            return int(self.features.shape[-1])
        return int(self.kernel.shape[0 if self.is_transposed else 1])

    def logits(self) -> tf.Tensor:
        """Computes them all, `[..., vocabulary_size]`, in float32: a figure needs the digits."""
        if self.kernel is None:
            return self.features
        # One product of two matrices. An `einsum` with dots would take its gradient from a tensor
        # of every place, id and unit: 34 GB for 64 x 64 places, 8,192 ids and 256 units.
        *places, units = keras.ops.shape(self.features)
        rows = tf.cast(tf.reshape(self.features, [-1, units]), tf.float32)
        logits = tf.matmul(rows, self.kernel, transpose_b=self.is_transposed)
        if self.bias is not None:
            logits += self.bias
        return tf.reshape(logits, [*places, logits.shape[-1]])


def weights_of(layer: keras.layers.Layer) -> list[tf.Tensor]:
    """Returns the weights of a layer as they are stored, whatever the layer computes in."""
    return [tf.convert_to_tensor(weight.value) for weight in layer.weights]
