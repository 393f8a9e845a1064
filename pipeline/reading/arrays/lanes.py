"""Lanes: rows that read a split contiguously; see `graph.lanes`."""

import concurrent.futures
import itertools
from collections.abc import Iterator

import numpy as np

from pipeline.reading.arrays.spans import ShardReader
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import lane_block_steps, lane_starts

Lanes = tuple[tuple[np.ndarray, np.ndarray], np.ndarray]


def make_lanes(
    reader: ShardReader, num_tokens: int, batches: Batches, *, separator_id: int
) -> Iterator[Lanes]:
    """Yields the batches of a host's lanes from `start_step` on, without end.

    Args:
        reader: of the split, in which every token is a window.
        num_tokens: of the split.
        batches: what is asked for; a lane is a row.
        separator_id: of the vocabulary.

    Yields:
        `((inputs, resets), targets)`: `[rows, seq_len]` int32, bool and int32.
    """
    rows, seq_len = batches.host_rows, batches.seq_len
    own_starts = lane_starts(batches.batch_size, num_tokens)[batches.places]
    steps = lane_block_steps(
        num_tokens,
        num_lanes=batches.batch_size,
        host_count=batches.host_count,
        seq_len=seq_len,
        itemsize=reader.dtype.itemsize,
    )

    def load(block: int) -> np.ndarray:
        first = (own_starts + block * (steps * seq_len) - 1) % num_tokens
        length = steps * seq_len + 2  # one before the inputs, one after
        _, tokens = reader.read(reader.cut(first, np.full(rows, length))[1])
        return tokens.reshape(rows, length)

    with concurrent.futures.ThreadPoolExecutor(1, "textreel-ahead") as ahead:
        loading = ahead.submit(load, batches.start_step // steps)
        for block in itertools.count(batches.start_step // steps):
            tokens = loading.result()
            loading = ahead.submit(load, block + 1)
            for step in range(max(0, batches.start_step - block * steps), steps):
                start = step * seq_len
                part = tokens[:, start : start + seq_len + 2].astype(np.int32)
                resets = part[:, :-2] == separator_id
                yield (part[:, 1:-1].copy(), resets), part[:, 2:].copy()
