"""The documented recipe: window/flat_map over single tokens, then shuffle and batch."""

import numpy as np
import tensorflow as tf
from timing import report, text

tokens = np.fromfile(text, np.uint8)[: 2**22].astype(np.int32)


def make(seq_len, stride, batch_size):
    """Shuffled batches."""
    size = seq_len + 1
    windows = (
        tf.data.Dataset.from_tensor_slices(tokens)
        .window(size, shift=stride, drop_remainder=True)
        .flat_map(lambda window: window.batch(size, drop_remainder=True))
    )
    pairs = windows.map(lambda w: (w[:-1], w[1:]), num_parallel_calls=tf.data.AUTOTUNE)
    batches = pairs.shuffle(1000).batch(batch_size, drop_remainder=True)
    return iter(batches.repeat().prefetch(tf.data.AUTOTUNE))


report(make)
