"""Spans of windows -> the tokens that hold them, by seeks into the shards."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from pipeline.layout.names import around_shard_index
from pipeline.layout.records import example_prefixes
from pipeline.reading.caching.asking import ask, forget
from pipeline.reading.damage import assert_digest, damage_message, first_unread, replaced_message
from pipeline.reading.graph.groups import cut, join, search
from pipeline.reading.shards import SplitShards


class ShardFiles:
    """The shards of a split that have windows, as a graph needs them.

    Args:
        shards: of the split.

    Attributes:
        first_windows: `[2·shards + 1]` int64; the number of the window that each shard starts
            with, for the shards laid twice end to end.
        stored: the dtype of the tokens.
        fetcher: brings what is read to this machine; `None` where TensorFlow reads it itself.
    """

    def __init__(self, shards: SplitShards):
        self._shards = shards
        # A shard's path is arithmetic: a graph of 100,000 shards holds two strings.
        before, self._suffix = around_shard_index(shards.all[0].file)
        self._prefix = f"{shards.directory}/{before}"
        self.first_windows = shards.first_windows
        self.fetcher = shards.fetcher()  # its threads live as long as the graph's maker
        self.windows = shards.windows
        self.read_ahead = shards.read_ahead
        self.dtype = shards.dtype
        self.stored = tf.as_dtype(self.dtype)
        self.record_tokens = shards.record_tokens
        self.record_bytes = shards.record_bytes
        self.num_tokens = shards.num_tokens
        self.prefixes = example_prefixes(shards.payload_bytes)

    def check_same(self) -> tf.Operation:
        """Asserts that the corpus is still the one that was opened.

        Whoever replaces a corpus removes the manifest before any shard: so what was read before
        this is of the corpus that was opened. A fetcher looks itself.
        """
        if self.fetcher is not None:
            return tf.no_op()
        shards = self._shards
        replaced = replaced_message(shards.directory)
        return assert_digest(shards.manifest_path, shards.manifest.digest, replaced)

    def window_at(self, shard: tf.Tensor, token: tf.Tensor) -> tf.Tensor:
        """The number of the window that starts at a token of a shard, of the shards laid twice."""
        return tf.gather(tf.constant(self.first_windows), shard) + token // self.windows.stride

    def index(self, shard: tf.Tensor) -> tf.Tensor:
        """The index in the split of a shard, by its index in `first_windows`."""
        return tf.gather(tf.constant(self._shards.indices), shard % len(self._shards.indices))

    def path(self, shard: tf.Tensor) -> tf.Tensor:
        """The path of a shard, a scalar string, by its index in `first_windows`."""
        index = self.index(shard)
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


def join_spans(
    files: ShardFiles, first_windows: tf.Tensor, num_windows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Joins spans that are so near each other that a record would be read for both.

    Args:
        files: the shards.
        first_windows: `[spans]` int64; the window that each span starts with, in any order.
        num_windows: `[spans]` int64.

    Returns:
        The same two for spans in the order of the text, which hold those that were given.
    """
    gap = files.record_tokens // files.windows.stride
    return join(first_windows, num_windows, gap=gap)


def cut_spans(files: ShardFiles, first_windows: tf.Tensor, num_windows: tf.Tensor) -> Pieces:
    """Cuts spans where they run from one shard into the next.

    Args:
        files: the shards.
        first_windows: `[spans]` int64; the window that each span starts with.
        num_windows: `[spans]` or scalar int64; the windows of each span.

    Returns:
        The pieces of the first span, then those of the second, …
    """
    shard, first_window, num_windows = cut(files.first_windows, first_windows, num_windows)
    in_shard = first_window - tf.gather(tf.constant(files.first_windows), shard)
    return Pieces(shard, in_shard * files.windows.stride, num_windows)


def read_pieces(files: ShardFiles, pieces: Pieces) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads pieces, several at a time.

    Returns:
        The tokens as tiles, `[tiles, stride]`, the last tile zeros, and the tile that each piece
        starts at, `[pieces]` int64. A window is `windows.num_tiles` consecutive tiles, from the
        one of its first token on.

    Raises:
        InvalidArgumentError: a record is missing or damaged; it names the file and the records.
    """
    windows = files.windows
    num_tiles = pieces.num_windows - 1 + windows.num_tiles
    first_record, num_records = _records_of(
        files, pieces.first_token, files.num_tokens(pieces.num_windows)
    )
    first_byte = first_record * files.record_bytes
    answer = None
    if files.fetcher is not None:
        num_bytes = num_records * files.record_bytes
        answer = ask(files.fetcher.folder, files.index(pieces.shard), first_byte, num_bytes)
        first_byte = tf.cumsum(num_bytes, exclusive=True)  # in the answer

    @functools.partial(tf.function, autograph=False)  # traced once, for the search of damage too
    def read(piece: Pieces, tiles: tf.Tensor, first_byte: tf.Tensor) -> tf.Tensor:
        file = files.path(piece.shard) if answer is None else answer + ".records"
        return _read_tiles(files, piece, [tiles, windows.stride], file, first_byte)

    # What cannot be read is left out, which shows in the number of tiles: TensorFlow's own
    # errors do not name the file. A last tile of zeros, so that there always is one.
    num_all = tf.reduce_sum(num_tiles) + 1
    tokens = (
        tf.data.Dataset.from_tensor_slices((pieces, num_tiles, first_byte))
        .map(read, num_parallel_calls=files.read_ahead, deterministic=True)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(tf.zeros([1, windows.stride], files.stored)))
        .rebatch(num_all)
        .get_single_element()
    )
    whole = tf.shape(tokens, out_type=tf.int64)[0] == num_all
    message = tf.cond(
        whole, lambda: "", lambda: _find_damage(files, (pieces, num_tiles, first_byte), read)
    )
    with tf.control_dependencies([whole]):
        message = tf.identity(message)
    with tf.control_dependencies([] if answer is None else [message]):
        has_read = tf.no_op() if answer is None else forget(answer)
    with tf.control_dependencies([whole, has_read]):
        is_same = files.check_same()  # first: of a corpus that was replaced, files may be missing
    with tf.control_dependencies([is_same]):
        is_whole = tf.debugging.Assert(whole, [message])
    with tf.control_dependencies([is_whole]):
        return tf.identity(tokens), tf.cumsum(num_tiles, exclusive=True)


def _read_tiles(
    files: ShardFiles, piece: Pieces, shape: list[Any], file: tf.Tensor, first_byte: tf.Tensor
) -> tf.Tensor:
    """Returns the tokens of a piece in a shape, padded with 0; reads only their records.

    Args:
        files: the shards.
        piece: what is read.
        shape: that the tokens get.
        file: scalar string; what has its records.
        first_byte: scalar int64; where these begin there.
    """
    num_tokens = files.num_tokens(piece.num_windows)
    first_record, num_records = _records_of(files, piece.first_token, num_tokens)
    # The public TFRecordDataset does not offer `byte_offsets`; equal lengths are required.
    # One read of just what is needed: a larger buffer would read what no window wants.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=file[None],
        compression_type="",
        buffer_size=num_records * files.record_bytes,
        byte_offsets=first_byte[None],
    )
    records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    examples = records.take(num_records).batch(num_records).get_single_element()
    # In the bytes of an Example, the payload is what stands last.
    lengths, prefixes = files.prefixes
    case = search(tf.constant(lengths), tf.strings.length(examples)) - 1
    itemsize = files.dtype.itemsize
    skipped = (piece.first_token - first_record * files.record_tokens) * itemsize
    is_first = tf.one_hot(0, tf.size(examples), dtype=tf.int32)
    start = tf.gather(prefixes, case) + is_first * tf.cast(skipped, tf.int32)
    payloads = tf.strings.substr(examples, start, tf.strings.length(examples) - start)
    text = tf.strings.reduce_join(payloads)
    enough = tf.strings.length(text) >= tf.cast(num_tokens * itemsize, tf.int32)
    with tf.control_dependencies([tf.debugging.Assert(enough, ["too short"])]):
        size = tf.cast(tf.reduce_prod(shape) * itemsize, tf.int32)
        return tf.reshape(tf.io.decode_raw(text, files.stored, fixed_length=size), shape)


def _records_of(
    files: ShardFiles, first_token: tf.Tensor, num_tokens: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the index of the first record that holds the tokens, and how many do."""
    first = first_token // files.record_tokens
    return first, (first_token + num_tokens - 1) // files.record_tokens - first + 1


def _find_damage(
    files: ShardFiles, items: tuple[Any, ...], read: Callable[..., tf.Tensor]
) -> tf.Tensor:
    """Names the file and the records of the first piece that cannot be read."""
    bad, pieces = first_unread(items, read), items[0]
    piece = Pieces(*(tf.gather(values, bad) for values in pieces))
    num_tokens = files.num_tokens(piece.num_windows)
    first, num_records = _records_of(files, piece.first_token, num_tokens)
    return damage_message(files.path(piece.shard), first, first + num_records - 1)
