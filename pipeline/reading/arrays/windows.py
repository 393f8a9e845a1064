"""Windows as `(inputs, targets)`: the order of `order` as NumPy arrays."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.reading.arrays.groups import Arrays, batches_of, gather_rows
from pipeline.reading.arrays.segments import mask_other_documents, segment
from pipeline.reading.arrays.spans import ShardReader
from pipeline.reading.batches import Batches, Batching, Targets
from pipeline.reading.geometry import Windows
from pipeline.reading.order import Order


def make_batches(
    reader: ShardReader, order: Order, batches: Batches, *, separator_id: int
) -> Iterator[Any]:
    """Yields a host's rows of every batch, from `start_step` on: see `graph.windows`."""
    num_left, count = batches.num_left(order.num_windows), batches.host_rows
    start_row = batches.start_step * count
    stop_row = None if num_left is None else start_row + num_left * count
    rows = make_rows(
        reader, order, batches, start_row=start_row, stop_row=stop_row, targets=batches.targets
    )
    for inputs, wanted in batches_of(rows, count):
        if batches.segments:
            yield (inputs, *segment(inputs, separator_id)), wanted
        elif not batches.across_documents:
            yield mask_other_documents(inputs, wanted, separator_id)
        else:
            yield inputs, wanted


def make_rows(
    reader: ShardReader,
    order: Order,
    batches: Batching,
    *,
    start_row: int,
    stop_row: int | None,
    targets: Targets,
) -> Iterator[Arrays]:
    """Yields a host's rows from the `start_row`-th on, in any portions.

    Each is `(inputs, targets)`: `[n, seq_len]` int32 each, or `targets` `[n]` int32.
    """
    windows = reader.windows
    return gather_rows(
        order,
        batches,
        start_row=start_row,
        stop_row=stop_row,
        row_bytes=windows.num_tokens * np.dtype(np.int32).itemsize,
        load=reader.load,
        gather=functools.partial(_gather, windows, targets),
    )


def _gather(windows: Windows, targets: Targets, tokens: np.ndarray, tile: np.ndarray) -> Arrays:
    # A row a tile, which shares its tokens with its neighbours: only what is taken is copied.
    rows = np.lib.stride_tricks.sliding_window_view(tokens, windows.num_tokens)[:: windows.stride]
    taken = rows[tile]
    inputs = taken[:, : windows.seq_len].astype(np.int32)
    if targets == "last":
        return inputs, taken[:, windows.seq_len].astype(np.int32)
    return inputs, taken[:, 1:].astype(np.int32)
