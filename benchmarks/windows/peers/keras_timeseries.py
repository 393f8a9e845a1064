"""keras.utils.timeseries_dataset_from_array over the whole text in memory."""

import keras
import numpy as np
from timing import report, text

tokens = np.fromfile(text, np.uint8).astype(np.int32)


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows; the targets are the same windows, one token on."""
    dataset = keras.utils.timeseries_dataset_from_array(
        tokens,
        None,
        sequence_length=seq_len + 1,
        sequence_stride=stride,
        batch_size=batch_size,
        shuffle=True,
    )
    return iter(dataset.map(lambda w: (w[:, :-1], w[:, 1:])).repeat().prefetch(2))


report(make)
