"""Sequences that recurrent models read on a CPU: what `cpu_lstm`, `cpu_gru` and MinGRU share.

The cells are Keras's, built. Arrays are time-major, `[seq_len, batch, ...]`. Where ids are few,
`embedding times kernel plus bias` is a table by id.
"""

from typing import Any

import keras
import tensorflow as tf


def time_major(rows: tf.Tensor) -> tf.Tensor:
    """`[batch, seq_len]` -> `[seq_len, batch]`, of integers or booleans.

    A gather: oneDNN transposes these on some processors only, and complains aloud on others.
    """
    batch, seq_len = keras.ops.shape(rows)
    indices = tf.range(seq_len)[:, tf.newaxis] + tf.range(batch) * seq_len
    return tf.gather(tf.reshape(rows, [-1]), indices)


def project(cell: Any, inputs: tf.Tensor) -> tf.Tensor:
    """Inputs times the kernel, plus the bias, for all places at once.

    Args:
        cell: of Keras, built.
        inputs: `[seq_len, batch, width]`.

    Returns:
        `[seq_len, batch, gates * units]` of the cell's compute dtype.
    """
    dtype = cell.compute_dtype
    kernel = tf.cast(cell.kernel, dtype)
    # One product of two matrices: its gradient to the kernel is one too.
    products = tf.nn.bias_add(tf.matmul(rows(inputs), kernel), tf.cast(_input_bias(cell), dtype))
    return tf.reshape(products, [*sizes(inputs)[:2], kernel.shape[1]])


def project_ids(cell: Any, embeddings: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """`project` of the embeddings of ids, by a table where that is the smaller product.

    Args:
        cell: of Keras, built.
        embeddings: a vector for each id, `[num_ids, width]` float32.
        ids: `[seq_len, batch]` int32.

    Returns:
        `[seq_len, batch, gates * units]` of the cell's compute dtype. The table and its gradient,
        a sum over all places with the same id, are float32.
    """
    num_places, num_ids = ids.shape.num_elements(), embeddings.shape[0]
    dtype = cell.compute_dtype
    vectors = tf.cast(embeddings, dtype)
    if num_places is not None and num_ids > num_places:
        return project(cell, tf.gather(vectors, ids))
    table = tf.cast(tf.matmul(vectors, tf.cast(cell.kernel, dtype)), tf.float32)

    @tf.custom_gradient
    def look_up(table: tf.Tensor) -> Any:
        def gradient(gradients: tf.Tensor) -> tf.Tensor:
            return _sum_by_id(gradients, ids, num_ids)

        return tf.gather(tf.cast(table, dtype), ids), gradient

    return look_up(table + tf.cast(_input_bias(cell), tf.float32))


def _input_bias(cell: Any) -> tf.Tensor:
    bias = tf.convert_to_tensor(cell.bias)
    return bias if bias.shape.rank == 1 else bias[0]  # a GRU has another for its recurrence


def sizes(tensor: tf.Tensor) -> list[Any]:
    """The shape, a number where it is known and else a tensor."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def array(size: Any, shape: list[Any], dtype: tf.DType) -> tf.TensorArray:
    """An array of tensors of one shape, each of which may be read more than once."""
    return tf.TensorArray(dtype, size, element_shape=shape, clear_after_read=False)


def rows(sequence: tf.Tensor) -> tf.Tensor:
    """`[seq_len, batch, width]` -> `[seq_len * batch, width]`."""
    return tf.reshape(sequence, [-1, sequence.shape[-1]])


def side_by_side(*parts: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Parts of `[batch, units]` -> `[batch, parts * units]` of a dtype, in a compiled function.

    XLA copies a `concat` that is converted row by row; one that is not becomes part of what reads
    it.
    """
    if dtype == tf.float32:
        return tf.concat(parts, axis=-1)
    stacked = tf.cast(tf.stack(parts, axis=1), dtype)
    return tf.reshape(stacked, [-1, len(parts) * tf.shape(parts[0])[-1]])


@tf.function(jit_compile=True, reduce_retracing=True, autograph=False)
def _sum_by_id(gradients: tf.Tensor, ids: tf.Tensor, num_ids: int) -> tf.Tensor:
    """Returns `[num_ids, width]` float32: the sums of the rows `[..., width]` of each id."""
    return tf.math.unsorted_segment_sum(tf.cast(gradients, tf.float32), ids, num_ids)
