"""Runs of windows -> the tokens that hold them, by seeks into the shards."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.geometry import Windows
from pipeline.manifest import Manifest
from pipeline.records import FEATURE, record_bytes

DAMAGED = " is missing or damaged; rebuild the shard with `textreel repair`"
_READ_AHEAD = 8  # seeks under way at once


class ShardFiles:
    """The shards of a split that have windows, as a graph needs them.

    Args:
        directory: of the corpus.
        manifest: of the corpus.
        split: the name of the split.
        windows: which windows it is cut into.

    Attributes:
        first_windows: `[2·shards + 1]` int64; the number of the window that each shard starts
            with, for the shards laid twice end to end.
    """

    def __init__(self, directory: str, manifest: Manifest, split: str, windows: Windows):
        shards = manifest.splits[split].shards
        num_windows = np.array([windows.num_windows(shard.num_tokens) for shard in shards])
        self._indices = np.flatnonzero(num_windows)
        # A shard's path is arithmetic: a graph of 100,000 shards holds two strings.
        before, _, after = shards[0].file.rpartition("-00000-of-")
        self._prefix, self._suffix = f"{directory}/{before}-", f"-of-{after}"
        per_shard = np.tile(num_windows[self._indices], 2)
        self.first_windows = np.concatenate([[0], np.cumsum(per_shard, dtype=np.int64)])
        self.dtype = np.dtype(manifest.dtype)
        self.record_tokens = manifest.record_tokens
        self.record_bytes = record_bytes(manifest.record_tokens * self.dtype.itemsize)

    def path(self, shard: tf.Tensor) -> tf.Tensor:
        """The path of a shard, a scalar string, by its index in `first_windows`."""
        index = tf.gather(tf.constant(self._indices), shard % len(self._indices))
        return self._prefix + tf.strings.as_string(index, width=5, fill="0") + self._suffix


class Pieces(NamedTuple):
    """Runs of windows that lie in one shard each. All are `[pieces]` int64.

    Attributes:
        shard: index in `ShardFiles.first_windows`.
        first_token: index in the shard.
        num_windows: how many windows.
    """

    shard: Any
    first_token: Any
    num_windows: Any


def cut_spans(
    files: ShardFiles, first_windows: tf.Tensor, span_windows: tf.Tensor, stride: int
) -> Pieces:
    """Cuts spans where they run from one shard into the next.

    Args:
        files: the shards.
        first_windows: `[spans]` int64; the window that each span starts with.
        span_windows: scalar int64; the windows of each span.
        stride: tokens between windows.

    Returns:
        The pieces of the first span, then those of the second, …
    """
    table = tf.constant(files.first_windows)
    ends = first_windows + span_windows
    first_shard = tf.searchsorted(table, first_windows, side="right", out_type=tf.int64) - 1
    last_shard = tf.searchsorted(table, ends, side="left", out_type=tf.int64) - 1
    counts = last_shard - first_shard + 1
    number = tf.range(tf.reduce_sum(counts)) - tf.repeat(tf.cumsum(counts, exclusive=True), counts)
    shard = tf.repeat(first_shard, counts) + number
    shard_start = tf.gather(table, shard)
    start = tf.maximum(tf.repeat(first_windows, counts), shard_start)
    end = tf.minimum(tf.repeat(ends, counts), tf.gather(table, shard + 1))
    return Pieces(shard, (start - shard_start) * stride, end - start)


def read_pieces(files: ShardFiles, pieces: Pieces, windows: Windows) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads pieces, several at a time.

    Returns:
        The tokens, `[rows, stride]`, and the row that each piece starts at, `[pieces]` int64.
        A window is `windows.num_rows` consecutive rows, from the row of its first token on.
    """
    num_rows = pieces.num_windows - 1 + windows.num_rows

    def read(piece: Pieces, rows: tf.Tensor) -> tf.Tensor:
        num_tokens = (piece.num_windows - 1) * windows.stride + windows.num_tokens
        tokens = _read_tokens(files, piece.shard, piece.first_token, num_tokens)
        tokens = tf.pad(tokens, [[0, rows * windows.stride - num_tokens]])
        return tf.reshape(tokens, [-1, windows.stride])

    tokens = (
        tf.data.Dataset.from_tensor_slices((pieces, num_rows))
        .map(read, num_parallel_calls=_READ_AHEAD, deterministic=True)
        .rebatch(tf.reduce_sum(num_rows))
        .get_single_element()
    )
    return tokens, tf.cumsum(num_rows, exclusive=True)


def _read_tokens(
    files: ShardFiles, shard: tf.Tensor, first_token: tf.Tensor, num_tokens: tf.Tensor
) -> tf.Tensor:
    """Returns `[num_tokens]` tokens of a shard from `first_token` on; reads only their records."""
    first_record = first_token // files.record_tokens
    num_records = (first_token + num_tokens - 1) // files.record_tokens - first_record + 1
    path = files.path(shard)
    offset = first_record * files.record_bytes

    @tf.autograph.experimental.do_not_convert
    def records_from(path: tf.Tensor, offset: tf.Tensor) -> tf.data.Dataset:
        # The public TFRecordDataset does not offer `byte_offsets`; equal lengths are required.
        # One read of just what is needed: a larger buffer would read what no window wants.
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[None],
            compression_type="",
            buffer_size=num_records * files.record_bytes,
            byte_offsets=offset[None],
        )
        return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))

    @tf.autograph.experimental.do_not_convert
    def join(path: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        records = tf.data.Dataset.from_tensors((path, offset)).flat_map(records_from)
        records = records.take(num_records).batch(num_records).get_single_element()
        feature = {FEATURE: tf.io.FixedLenFeature([], tf.string)}
        return tf.strings.reduce_join(tf.io.parse_example(records, feature)[FEATURE])

    # Whatever is wrong leaves no text, so that one check finds it, and names the file. Not nearer
    # to the records: a missing file would be an error without end there.
    text = (
        tf.data.Dataset.from_tensors((path, offset))
        .map(join)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(b""))
        .take(1)
        .get_single_element()
    )
    itemsize = files.dtype.itemsize
    start = (first_token - first_record * files.record_tokens) * itemsize
    enough = tf.strings.length(text, "BYTE") >= tf.cast(start + num_tokens * itemsize, tf.int32)
    place = [": one of the records ", tf.strings.as_string(first_record), " to "]
    message = [path, *place, tf.strings.as_string(first_record + num_records - 1), DAMAGED]
    with tf.control_dependencies([tf.debugging.Assert(enough, [tf.strings.join(message)])]):
        text = tf.strings.substr(text, start, num_tokens * itemsize)
    # decode_raw knows no uint32; no vocabulary comes near 2^31 ids.
    stored = {1: tf.uint8, 2: tf.uint16, 4: tf.int32}[itemsize]
    return tf.io.decode_raw(text, stored)
