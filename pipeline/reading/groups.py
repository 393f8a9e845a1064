"""Groups of the order, in memory: a host reads what it needs of each, and gathers rows from it.

    group index -> group -> spans -> pieces, read by seeks -> rows, chunk by chunk
                  (order)  (join, cut)   (load)             (gather)

Windows of tokens and records of any files are read so; which of them is in `load` and `gather`. A
chunk of many batches is gathered at once, because dispatching a small operation costs more than
running it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.reading.batches import Batching
from pipeline.reading.order import Functions, Group, Order

_CHUNK_BYTES = 2**20  # many batches a chunk, several chunks a group


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
    """Which rows of every global batch a host gets: see `Batching.places`.

    Attributes:
        batch_size: rows of the global batch.
        count: the host's.
        places: `[count]` int64; the host's, as indices in the batch, ascending.
    """

    def __init__(self, batches: Batching):
        self.batch_size = batches.batch_size
        self.count = batches.host_rows
        self.places = batches.places
        self._residues = batches.residues

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
        residues = self._residues(stripes)
        return tf.gather(tf.constant(residues), position % len(residues))


class Loaded(NamedTuple):
    """What a host needs of a group, as runs of consecutive windows.

    Attributes:
        first_windows: `[pieces]` int64, ascending; the window, on the line of the order, that each
            begins with.
        first_places: `[pieces]` int64; where each begins in `content`. The next window is there at
            the next place.
        content: `[places, …]`, of any type.
    """

    first_windows: tf.Tensor
    first_places: tf.Tensor
    content: tf.Tensor


Load = Callable[[tf.Tensor, tf.Tensor], Loaded]  # [spans] first windows, and numbers of windows
Gather = Callable[[tf.Tensor, tf.Tensor], Any]  # content, and the places of the rows


def gather_rows(
    order: Order, rows: Rows, *, start_row: int, row_bytes: int, load: Load, gather: Gather
) -> tf.data.Dataset:
    """Returns the endless dataset of a host's rows from the `start_row`-th on, in any portions.

    Args:
        order: position -> window.
        rows: the host's.
        start_row: the first one, from 0.
        row_bytes: of what `gather` returns of a window, about.
        load: reads spans, which come in any order.
        gather: what a row is, of the windows that begin at some places of the content.
    """
    chunk_rows = rows.count * max(1, _CHUNK_BYTES // (row_bytes * rows.count))

    @tf.autograph.experimental.do_not_convert
    def load_group(index: tf.Tensor) -> tuple[Group, Loaded]:
        group = order.group(index, _TENSORS)
        stripe = tf.range(tf.size(group.span_windows, tf.int64)) // (group.rows + 1)
        wanted = rows.contain(group.start + stripe, order.stripes)
        wanted |= ~tf.reduce_any(wanted)  # a last, small group may have no row for this host
        wanted &= group.span_windows > 0
        spans = (tf.boolean_mask(x, wanted) for x in (group.first_windows, group.span_windows))
        return group, load(*spans)

    @tf.autograph.experimental.do_not_convert
    def chunks(group: Group, loaded: Loaded) -> tf.data.Dataset:
        first = tf.maximum(rows.count_before(group.start), start_row)
        last = rows.count_before(group.start + group.num_windows)

        def chunk(number: tf.Tensor) -> Any:
            row = tf.range(
                tf.maximum(number * chunk_rows, first), tf.minimum((number + 1) * chunk_rows, last)
            )
            window = order.locate(group, rows.position(row) - group.start, _TENSORS)
            piece = tf.searchsorted(loaded.first_windows, window, side="right") - 1
            place = window + tf.gather(loaded.first_places - loaded.first_windows, piece)
            return gather(loaded.content, place)

        numbers = tf.data.Dataset.range(first // chunk_rows, -(-last // chunk_rows))
        return numbers.map(chunk, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    first_group = order.group_at(rows.position(start_row))
    groups = tf.data.Dataset.range(first_group, np.iinfo(np.int64).max)
    return groups.map(load_group, num_parallel_calls=1).prefetch(1).flat_map(chunks)


def join(
    first_windows: tf.Tensor, num_windows: tf.Tensor, *, gap: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Joins spans with at most `gap` windows between them, so that these are read as one.

    Args:
        first_windows: `[spans]` int64; the window that each span starts with, in any order.
        num_windows: `[spans]` int64.
        gap: windows.

    Returns:
        The same two for spans in the order of their windows, which hold those that were given.
    """
    order = tf.argsort(first_windows)
    starts, ends = (tf.gather(x, order) for x in (first_windows, first_windows + num_windows))
    apart = starts[1:] - ends[:-1] > gap
    starts = tf.boolean_mask(starts, tf.concat([[True], apart], 0))
    return starts, tf.boolean_mask(ends, tf.concat([apart, [True]], 0)) - starts


def cut(
    table: np.ndarray, first_windows: tf.Tensor, num_windows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Cuts spans where they run from one file into the next.

    Args:
        table: `[files + 1]` int64, strictly ascending; the window that each file starts with.
        first_windows: `[spans]` int64; the window that each span starts with.
        num_windows: `[spans]` or scalar int64; the windows of each span.

    Returns:
        File, first window and number of windows, `[pieces]` int64 each; those of the first span,
        then those of the second, …
    """
    starts, ends = tf.constant(table), first_windows + num_windows
    first_file = tf.searchsorted(starts, first_windows, side="right", out_type=tf.int64) - 1
    last_file = tf.searchsorted(starts, ends, side="left", out_type=tf.int64) - 1
    counts = last_file - first_file + 1
    after = tf.cumsum(counts)
    piece = tf.range(after[-1])
    span = tf.searchsorted(after, piece, side="right", out_type=tf.int64)
    file = piece + tf.gather(first_file - after + counts, span)
    start = tf.maximum(tf.gather(first_windows, span), tf.gather(starts, file))
    end = tf.minimum(tf.gather(ends, span), tf.gather(starts, file + 1))
    return file, start, end - start
