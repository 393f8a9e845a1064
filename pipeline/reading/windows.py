"""Windows as `(inputs, targets)`: the order of `order` as a `tf.data.Dataset`.

    group index -> group -> read its spans by seeks -> tiles of tokens -> gather -> batches
                  (order)   (TFRecordDataset)          [tiles, stride]

Every window of a shard starts at a multiple of the stride, so the tokens of a group are kept
as tiles of `stride` tokens, and a window is a few consecutive tiles: gathering tiles costs a
fraction of gathering tokens. A chunk of many batches is gathered at once, because dispatching
a small operation costs more than running it.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.reading.batches import Batches
from pipeline.reading.order import Functions, Group, Order
from pipeline.reading.spans import ShardFiles, cut_spans, join_spans, read_pieces

Targets = Literal["sequence", "last"]

_CHUNK_TOKENS = 2**18  # about 1 MiB of int32 inputs; many batches a chunk, several chunks a group


def _repeat(count: int, step: Callable[[Any, Any], Any], state: Any) -> Any:
    def body(index: tf.Tensor, state: Any) -> tuple[tf.Tensor, Any]:
        return index + 1, step(index, state)

    zero = tf.constant(0, tf.int64)
    return tf.while_loop(lambda index, _: index < count, body, (zero, state))[1]


def _settle(step: Callable[[Any], Any], wrong: Callable[[Any], Any], values: Any) -> Any:
    def body(values: tf.Tensor, todo: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        values = tf.where(todo, step(values), values)
        return values, wrong(values)

    todo = tf.ones_like(values, tf.bool)
    return tf.while_loop(lambda _, todo: tf.reduce_any(todo), body, (values, todo))[0]


_TENSORS = Functions(
    arange=lambda size: tf.range(tf.cast(size, tf.int64)),
    where=tf.where,
    argsort=lambda values: tf.cast(tf.argsort(values, stable=True), tf.int64),
    take=tf.gather,
    cond=tf.cond,
    reshape=tf.reshape,
    unstack=tf.unstack,
    repeat=_repeat,
    settle=_settle,
)


class Rows:
    """Which rows of every global batch a host gets: see `Batches.places`.

    Attributes:
        batch_size: rows of the global batch.
        count: the host's.
        places: `[count]` int64; the host's, as indices in the batch, ascending.
    """

    def __init__(self, batches: Batches):
        self.batch_size = batches.batch_size
        self.count = batches.host_rows
        self.places = batches.places
        self._period = batches.period

    def position(self, row: Any) -> Any:
        """The position of the host's `row`-th row ever, an integer or tensor."""
        place = row % self.count
        if self.count < self.batch_size:
            take = np.take if isinstance(row, int) else tf.gather
            place = take(self.places, place)
        return row // self.count * self.batch_size + place

    def count_before(self, position: Any) -> Any:
        """How many of the host's rows have a smaller position, a scalar tensor."""
        in_batch = tf.searchsorted(self.places, (position % self.batch_size)[None])[0]
        return position // self.batch_size * self.count + tf.cast(in_batch, tf.int64)

    def contain(self, position: Any, stripes: int) -> Any:
        """Whether the host may have a row at a position plus any multiple of `stripes`, `[n]`."""
        period = math.gcd(self._period, stripes)
        residues = np.isin(np.arange(period), self.places % period)
        return tf.gather(tf.constant(residues), position % period)


class _LoadedGroup(NamedTuple):
    """A group with the tokens of the spans that this host needs, as pieces.

    Attributes:
        group: its order.
        first_windows: `[pieces]` int64; the window, on the line of the order, of each piece.
        first_tiles: `[pieces]` int64; the tiles of `tokens` before each piece.
        tokens: `[tiles, stride]`.
    """

    group: Group
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
        stripe = tf.range(tf.size(group.span_windows, tf.int64)) // (group.rows + 1)
        wanted = rows.contain(group.start + stripe, order.stripes)
        wanted |= ~tf.reduce_any(wanted)  # a last, small group may have no row for this host
        wanted &= group.span_windows > 0
        spans = (tf.boolean_mask(x, wanted) for x in (group.first_windows, group.span_windows))
        pieces = cut_spans(files, *join_spans(files, *spans))
        tokens, first_tiles = read_pieces(files, pieces)
        return _LoadedGroup(
            group=group,
            first_windows=files.window_at(pieces.shard, pieces.first_token),
            first_tiles=first_tiles,
            tokens=tokens,
        )

    def gather(loaded: _LoadedGroup, positions: tf.Tensor) -> tf.Tensor:
        """Returns the windows at positions of a group, `[n, seq_len + 1]`."""
        group = loaded.group
        window = order.locate(group, positions - group.start, _TENSORS)
        piece = tf.searchsorted(loaded.first_windows, window, side="right") - 1
        tile = window + tf.gather(loaded.first_tiles - loaded.first_windows, piece)
        indices = tile[:, None] + tf.range(windows.num_tiles, dtype=tf.int64)
        tokens = tf.gather(loaded.tokens, indices)  # [n, num_tiles, stride]
        tokens = tf.reshape(tokens, [-1, windows.num_tiles * windows.stride])
        return tokens[:, : windows.num_tokens]

    @tf.autograph.experimental.do_not_convert
    def chunks(loaded: _LoadedGroup) -> tf.data.Dataset:
        group = loaded.group
        first = tf.maximum(rows.count_before(group.start), start_row)
        last = rows.count_before(group.start + group.num_windows)

        def chunk(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            row = tf.range(
                tf.maximum(number * chunk_rows, first), tf.minimum((number + 1) * chunk_rows, last)
            )
            tokens = gather(loaded, rows.position(row))
            inputs = tf.cast(tokens[:, :-1], tf.int32)
            if targets == "last":
                return inputs, tf.cast(tokens[:, -1], tf.int32)
            return inputs, tf.cast(tokens[:, 1:], tf.int32)

        numbers = tf.data.Dataset.range(first // chunk_rows, -(-last // chunk_rows))
        return numbers.map(chunk, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    first_group = order.group_at(rows.position(start_row))
    groups = tf.data.Dataset.range(first_group, np.iinfo(np.int64).max)
    return groups.map(load, num_parallel_calls=1).prefetch(1).flat_map(chunks)
