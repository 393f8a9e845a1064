"""Reference windows: cut over single tokens, as documented; slow, and what the fast ones equal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.layout.records import FEATURE, example_of, parse_records
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SINGLE_TOKENS

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
        A dataset of windows, `[seq_len + 1]` int32 each. Where the corpus has a cache, as in
        stores that TensorFlow does not read, a shard is in memory at a time.

    Raises:
        UserError: no such split.
    """
    import numpy as np
    import tensorflow as tf

    dtype = tf.as_dtype(np.dtype(corpus.manifest.dtype))
    num_tokens = seq_len + 1
    shards = corpus.shards(split, SINGLE_TOKENS, read_ahead=1)
    fetcher = shards.fetcher()

    def tokens_of(record: "tf.Tensor") -> "tf.Tensor":
        feature = {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        return tf.cast(
            tf.io.decode_raw(tf.io.parse_single_example(record, feature)[FEATURE], dtype), tf.int32
        )

    def fetched(index: int) -> Iterator[bytes]:
        assert fetcher is not None
        data = fetcher.read(index, 0, shards.all[index].disk_bytes)
        size = shards.payload_bytes
        yield from map(example_of, parse_records(data, first_record=0, full_payload_bytes=size))

    def records_of(index: "tf.Tensor", file: "tf.Tensor") -> "tf.data.Dataset":
        if fetcher is None:
            return tf.data.TFRecordDataset(file)
        example = tf.TensorSpec([], tf.string)
        return tf.data.Dataset.from_generator(fetched, args=(index,), output_signature=example)

    def windows_of(index: "tf.Tensor", file: "tf.Tensor") -> "tf.data.Dataset":
        return (
            records_of(index, file)
            .map(tokens_of)
            .unbatch()
            .window(num_tokens, shift=seq_len if stride is None else stride, drop_remainder=True)
            .flat_map(lambda window: window.batch(num_tokens, drop_remainder=True))
        )

    files = [f"{corpus.directory}/{shard.file}" for shard in shards.all]
    numbered = tf.range(len(files), dtype=tf.int64), tf.constant(files, tf.string)
    return tf.data.Dataset.from_tensor_slices(numbered).flat_map(windows_of)
