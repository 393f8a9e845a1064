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
from pipeline.reading.order import Functions, Group, Order, mix

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


def _arange(size: Any) -> tf.Tensor:
    if isinstance(size, int):
        return tf.constant(np.arange(size))
    return tf.raw_ops.Range(start=np.int64(0), limit=size, delta=np.int64(1))


def _argsort(values: tf.Tensor) -> tf.Tensor:
    """As `tf.argsort(…, stable=True)`, in a third of the operations."""
    size = values.shape[-1] or tf.shape(values)[-1]
    return tf.math.top_k(-values, size, index_type=tf.int64).indices


def _take(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.Gather(params=values, indices=index)


_mix_any = tf.function(mix, input_signature=[tf.TensorSpec(None, tf.int64)] * 2, autograph=False)


def _mix(value: Any, key: Any) -> tf.Tensor:
    value, key = tf.convert_to_tensor(value, tf.int64), tf.convert_to_tensor(key, tf.int64)
    mixed = _mix_any(value, key)
    mixed.set_shape(tf.broadcast_static_shape(value.shape, key.shape))
    return mixed


_TENSORS = Functions(
    arange=_arange,
    where=tf.where,
    minimum=tf.minimum,
    argsort=_argsort,
    take=_take,
    cond=tf.cond,
    reshape=tf.reshape,
    unstack=tf.unstack,
    repeat=_repeat,
    settle=_settle,
    mix=_mix,
)


def search(bounds: Any, values: tf.Tensor) -> tf.Tensor:
    """Returns how many of the ascending bounds are at most each value, `[n]` int64.

    As `tf.searchsorted(…, side="right")`, in a third of the operations.
    """
    bounds, values = tf.expand_dims(bounds, 0), tf.expand_dims(values, 0)
    return tf.raw_ops.UpperBound(sorted_inputs=bounds, values=values, out_type=tf.int64)[0]


def keep(wanted: tf.Tensor, *all_values: tf.Tensor) -> list[tf.Tensor]:
    """Returns of each `[n]` the values that are wanted, `[n]` bool."""
    index = tf.squeeze(tf.where(wanted), 1)
    return [tf.gather(values, index) for values in all_values]


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
        in_batch = tf.math.count_nonzero(self.places < position % self.batch_size)
        return position // self.batch_size * self.count + in_batch

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
        stripe = _arange(order.stripes * (group.rows + 1)) // (group.rows + 1)
        wanted = rows.contain(group.start + stripe, order.stripes)
        wanted |= ~tf.reduce_any(wanted)  # a last, small group may have no row for this host
        wanted &= group.span_windows > 0
        return group, load(*keep(wanted, group.first_windows, group.span_windows))

    @tf.autograph.experimental.do_not_convert
    def chunks(group: Group, loaded: Loaded) -> tf.data.Dataset:
        first = tf.maximum(rows.count_before(group.start), start_row)
        last = rows.count_before(group.start + group.num_windows)

        def chunk(number: tf.Tensor) -> Any:
            start = tf.maximum(number * chunk_rows, first)
            row = start + _arange(tf.minimum((number + 1) * chunk_rows, last) - start)
            window = order.locate(group, rows.position(row) - group.start, _TENSORS)
            piece = search(loaded.first_windows, window) - 1
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
    order = _argsort(first_windows)
    starts, ends = (tf.gather(x, order) for x in (first_windows, first_windows + num_windows))
    apart = starts[1:] - ends[:-1] > gap
    (starts,) = keep(tf.concat([[True], apart], 0), starts)
    (ends,) = keep(tf.concat([apart, [True]], 0), ends)
    return starts, ends - starts


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
    first_file = search(starts, first_windows) - 1
    counts = search(starts, ends - 1) - first_file
    after = tf.cumsum(counts)
    piece = _arange(after[-1])
    span = search(after, piece)
    file = piece + tf.gather(first_file - after + counts, span)
    start = tf.maximum(tf.gather(first_windows, span), tf.gather(starts, file))
    end = tf.minimum(tf.gather(ends, span), tf.gather(starts, file + 1))
    return file, start, end - start
