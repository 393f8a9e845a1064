"""Windows as `(inputs, targets)`: the order of `order` as a `tf.data.Dataset`.

    group index -> group -> read its spans by seeks -> tiles of tokens -> gather -> batches
                  (order)   (TFRecordDataset)          [tiles, stride]

Every window of a shard starts at a multiple of the stride, so the tokens of a group are kept
as tiles of `stride` tokens, and a window is a few consecutive tiles: gathering tiles costs a
fraction of gathering tokens. A chunk of many batches is gathered at once, because dispatching
a small operation costs more than running it.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import Windows
from pipeline.reading.order import Functions, Group, Order
from pipeline.reading.spans import ShardFiles, cut_spans, read_pieces

Targets = Literal["sequence", "last"]

_CHUNK_TOKENS = 2**18  # about 1 MiB of int32 inputs; many batches a chunk, several chunks a group


def _repeat(count: int, step: Callable[[Any, Any], Any], state: Any) -> Any:
    def body(index: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        return index + 1, step(index, state)

    zero = tf.constant(0, tf.int64)
    return tf.while_loop(lambda index, _: index < count, body, (zero, state))[1]


_TENSORS = Functions(
    arange=lambda size: tf.range(tf.cast(size, tf.int64)),
    where=tf.where,
    argsort=lambda values: tf.cast(tf.argsort(values, stable=True), tf.int64),
    repeat=_repeat,
)


class Rows:
    """Which rows of every global batch a host gets: `h·B/H … (h+1)·B/H - 1`.

    Attributes:
        batch_size: rows of the global batch.
        count: the host's.
        first: the first one's index in the batch.
    """

    def __init__(self, batches: Batches):
        self.batch_size = batches.batch_size
        self.count = batches.host_rows
        self.first = batches.first_row

    def position(self, row: Any) -> Any:
        """The position of the host's `row`-th row ever, an integer or tensor."""
        return row // self.count * self.batch_size + self.first + row % self.count

    def count_before(self, position: Any) -> Any:
        """How many of the host's rows have a smaller position."""
        in_batch = tf.clip_by_value(position % self.batch_size - self.first, 0, self.count)
        return position // self.batch_size * self.count + in_batch

    def contain_any(self, first: Any, period: Any) -> Any:
        """Whether the host may have a row among the positions `first + i·period`, `[n]` bool."""
        # The greatest common divisor: `period` is a power of two.
        step = tf.minimum(period, self.batch_size & -self.batch_size)
        return (first - self.first) % step < self.count


class _LoadedGroup(NamedTuple):
    """A group with the tokens of the spans that this host needs.

    Attributes:
        group: its order.
        slots: `[spans]` int64; the place of each span among those that were read.
        first_windows: `[pieces]` int64; the windows of all slots before each piece.
        first_tiles: `[pieces]` int64; the tiles of `tokens` before each piece.
        tokens: `[tiles, stride]`.
    """

    group: Group
    slots: tf.Tensor
    first_windows: tf.Tensor
    first_tiles: tf.Tensor
    tokens: tf.Tensor


def make_dataset(
    files: ShardFiles, order: Order, batches: Batches, targets: Targets
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows of every batch, from `start_step` on.

    Returns:
        `(inputs, targets)`: `[rows, seq_len]` int32 each, or `targets` `[rows]` int32.
    """
    start_row = batches.start_step * batches.host_rows
    all_rows = make_rows(files, order, Rows(batches), start_row=start_row, targets=targets)
    return all_rows.rebatch(batches.host_rows, drop_remainder=True)


def make_rows(
    files: ShardFiles, order: Order, rows: Rows, *, start_row: int, targets: Targets
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows from the `start_row`-th on, in any portions.

    Returns:
        `(inputs, targets)`: `[n, seq_len]` int32 each, or `targets` `[n]` int32.

    Raises:
        OptionError: `targets` is neither `sequence` nor `last`.
    """
    if targets not in ("sequence", "last"):
        raise OptionError(f"`targets` must be sequence or last, got {targets!r}")
    windows = files.windows
    chunk_rows = rows.count * max(1, _CHUNK_TOKENS // (windows.num_tokens * rows.count))

    @tf.autograph.experimental.do_not_convert
    def load(index: tf.Tensor) -> _LoadedGroup:
        group = order.group(index, _TENSORS)
        span = tf.range(group.spans)
        wanted = rows.contain_any(group.start + span, group.spans)
        wanted |= ~tf.reduce_any(wanted)  # a last, small group may have no row for this host
        first_windows = tf.boolean_mask(group.first_windows, wanted)
        pieces = cut_spans(files, first_windows, group.span_windows)
        tokens, first_tiles = read_pieces(files, pieces)
        return _LoadedGroup(
            group=group,
            slots=tf.cumsum(tf.cast(wanted, tf.int64)) - 1,
            first_windows=tf.cumsum(pieces.num_windows, exclusive=True),
            first_tiles=first_tiles,
            tokens=tokens,
        )

    @tf.autograph.experimental.do_not_convert
    def chunks(loaded: _LoadedGroup) -> tf.data.Dataset:
        group = loaded.group
        first = tf.maximum(rows.count_before(group.start), start_row)
        last = rows.count_before(group.start + group.spans * group.span_windows)

        def chunk(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            row = tf.range(
                tf.maximum(number * chunk_rows, first), tf.minimum((number + 1) * chunk_rows, last)
            )
            tokens = _gather(loaded, rows.position(row), windows)
            inputs = tf.cast(tokens[:, :-1], tf.int32)
            if targets == "last":
                return inputs, tf.cast(tokens[:, -1], tf.int32)
            return inputs, tf.cast(tokens[:, 1:], tf.int32)

        numbers = tf.data.Dataset.range(first // chunk_rows, -(-last // chunk_rows))
        return numbers.map(chunk, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    first_group = order.group_at(rows.position(start_row))
    groups = tf.data.Dataset.range(first_group, np.iinfo(np.int64).max)
    return groups.map(load, num_parallel_calls=1).prefetch(1).flat_map(chunks)


def _gather(loaded: _LoadedGroup, positions: tf.Tensor, windows: Windows) -> tf.Tensor:
    """Returns the windows at positions of a group, `[n, seq_len + 1]`."""
    group = loaded.group
    span, window = group.locate(positions - group.start, tf.gather)
    window += tf.gather(loaded.slots, span) * group.span_windows
    piece = tf.searchsorted(loaded.first_windows, window, side="right") - 1
    tile = window + tf.gather(loaded.first_tiles - loaded.first_windows, piece)
    indices = tile[:, None] + tf.range(windows.num_tiles, dtype=tf.int64)
    tokens = tf.gather(loaded.tokens, indices)  # [n, num_tiles, stride]
    tokens = tf.reshape(tokens, [-1, windows.num_tiles * windows.stride])
    return tokens[:, : windows.num_tokens]
