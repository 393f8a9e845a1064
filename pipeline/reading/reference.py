"""Reference windows: cut over single tokens, as documented; slow, and what the fast ones equal."""

from typing import TYPE_CHECKING

from pipeline.layout.records import FEATURE
from pipeline.reading.corpus import Corpus

if TYPE_CHECKING:
    import tensorflow as tf


def reference_windows(
    corpus: Corpus, split: str, *, seq_len: int, stride: int | None = None
) -> "tf.data.Dataset":
    """Every window of a split once, in the order of the text.

    The recipe of https://www.tensorflow.org/guide/data#time_series_windowing, shard by shard:
    `window(seq_len + 1, shift=stride, drop_remainder=True).flat_map(batch)`.

    Args:
        corpus: the corpus.
        split: the name of the split.
        seq_len: tokens of an input; a window has one more.
        stride: tokens between the starts of two windows; `None` means `seq_len`.

    Returns:
        A dataset of windows, `[seq_len + 1]` int32 each.
    """
    import numpy as np
    import tensorflow as tf

    dtype = tf.as_dtype(np.dtype(corpus.manifest.dtype))
    num_tokens = seq_len + 1

    def tokens_of(record: "tf.Tensor") -> "tf.Tensor":
        feature = {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        return tf.cast(
            tf.io.decode_raw(tf.io.parse_single_example(record, feature)[FEATURE], dtype), tf.int32
        )

    def windows_of(file: "tf.Tensor") -> "tf.data.Dataset":
        return (
            tf.data.TFRecordDataset(file)
            .map(tokens_of)
            .unbatch()
            .window(num_tokens, shift=seq_len if stride is None else stride, drop_remainder=True)
            .flat_map(lambda window: window.batch(num_tokens, drop_remainder=True))
        )

    files = [f"{corpus.directory}/{shard.file}" for shard in corpus.splits[split].shards]
    return tf.data.Dataset.from_tensor_slices(files).flat_map(windows_of)
