"""Groups of the order, in memory: a host reads what it needs of each, and gathers rows from it.

As `graph.groups`, in NumPy. While the rows of a group are gathered, a thread reads the next one, by
several threads more.
"""

import concurrent.futures
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pipeline.reading.batches import Batching
from pipeline.reading.order import Group, Order

_CHUNK_BYTES = 2**20  # gathered at once


class Loaded(NamedTuple):
    """What a host needs of a group, as runs of consecutive windows: see `graph.groups.Loaded`."""

    first_windows: np.ndarray
    first_places: np.ndarray
    content: np.ndarray


Arrays = tuple[np.ndarray, ...]
Load = Callable[[np.ndarray, np.ndarray], Loaded]  # [spans] first windows, and numbers of windows
Gather = Callable[[np.ndarray, np.ndarray], Arrays]  # content, and the places of the rows


def gather_rows(
    order: Order,
    batches: Batching,
    *,
    start_row: int,
    stop_row: int | None,
    row_bytes: int,
    load: Load,
    gather: Gather,
) -> Iterator[Arrays]:
    """Yields a host's rows, in any portions.

    Args:
        order: position -> window.
        batches: of which the host's rows are taken.
        start_row: the first one, from 0.
        stop_row: the one before which they end; `None`: they have no end.
        row_bytes: of what `gather` returns of a window, about.
        load: reads spans, which come in any order.
        gather: what a row is, of the windows that begin at some places of the content.
    """
    batch_size, count, places = batches.batch_size, batches.host_rows, batches.places
    residues = batches.residues(order.stripes)
    chunk_rows = count * max(1, _CHUNK_BYTES // (row_bytes * count))

    def position(row: Any) -> Any:
        return row // count * batch_size + places[row % count]

    def count_before(position: int) -> int:
        number, place = divmod(position, batch_size)
        return number * count + int(np.searchsorted(places, place))

    def load_group(index: int) -> tuple[Group, Loaded | None]:
        group = order.group(index)
        stripe = np.arange(order.stripes * (group.rows + 1)) // (group.rows + 1)
        wanted = residues[(group.start + stripe) % len(residues)] & (group.span_windows > 0)
        if not wanted.any():  # a last, small group may have no row for this host
            return group, None
        return group, load(group.first_windows[wanted], group.span_windows[wanted])

    row, index = start_row, order.group_at(int(position(start_row)))
    with concurrent.futures.ThreadPoolExecutor(1, "textreel-ahead") as ahead:
        loading = ahead.submit(load_group, index)
        while stop_row is None or row < stop_row:
            group, loaded = loading.result()
            end = count_before(int(group.start + group.num_windows))
            if stop_row is None or end < stop_row:
                index += 1
                loading = ahead.submit(load_group, index)
            else:
                end = stop_row
            while row < end:
                assert loaded is not None
                stop = min((row // chunk_rows + 1) * chunk_rows, end)
                window = order.locate(group, position(np.arange(row, stop)) - group.start)
                piece = np.searchsorted(loaded.first_windows, window, side="right") - 1
                place = window + (loaded.first_places - loaded.first_windows)[piece]
                yield gather(loaded.content, place)
                row = stop


def rebatch(parts: Iterator[Arrays], sizes: Iterable[int]) -> Iterator[Arrays]:
    """Cuts rows that come in any portions into portions of some sizes, which may be 0.

    It ends with the sizes, or where there are not rows enough for the next one.
    """
    part, start = next(parts, ()), 0
    for size in sizes:
        found: list[Arrays] = []
        missing = size
        while part:
            taken = tuple(array[start : start + missing] for array in part)
            found.append(taken)
            missing -= len(taken[0])
            start += len(taken[0])
            if not missing:
                break
            part, start = next(parts, ()), 0
        if missing or not found:
            return
        whole = found[0]
        if len(found) > 1:
            whole = tuple(np.concatenate(arrays) for arrays in zip(*found, strict=True))
        yield whole


def batches_of(rows: Iterator[Arrays], size: int) -> Iterator[Arrays]:
    """Cuts rows that come in any portions into batches."""
    return rebatch(rows, itertools.repeat(size))


def read_all(read: Callable[[Any], None], items: Iterable[Any], *, read_ahead: int) -> None:
    """Reads items, some of them at once.

    Raises:
        Exception: what `read` raised of the first item that it could not read.
    """
    with concurrent.futures.ThreadPoolExecutor(read_ahead, "textreel-read") as pool:
        try:
            for _ in pool.map(read, items):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def join_spans(
    first_windows: np.ndarray, num_windows: np.ndarray, *, gap: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joins spans with at most `gap` windows between them: see `graph.groups.join`."""
    order = np.argsort(first_windows, kind="stable")
    starts, ends = first_windows[order], (first_windows + num_windows)[order]
    apart = starts[1:] - ends[:-1] > gap
    starts, ends = starts[np.append(True, apart)], ends[np.append(apart, True)]
    return starts, ends - starts


def cut(
    table: np.ndarray, first_windows: np.ndarray, num_windows: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts spans where they run from one file into the next: see `graph.groups.cut`."""
    ends = first_windows + num_windows
    first_file = np.searchsorted(table, first_windows, side="right") - 1
    counts = np.searchsorted(table, ends - 1, side="right") - first_file
    span = np.repeat(np.arange(len(counts)), counts)
    file = np.arange(len(span)) + (first_file - np.cumsum(counts) + counts)[span]
    start = np.maximum(first_windows[span], table[file])
    return file, start, np.minimum(ends[span], table[file + 1]) - start


def places_of(sizes: np.ndarray) -> np.ndarray:
    """Where each run begins, of runs laid end to end: `[runs]` int64."""
    return np.cumsum(sizes) - sizes
