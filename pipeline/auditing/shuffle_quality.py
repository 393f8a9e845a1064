"""Quality of the shuffle, beside a perfect one and a shuffle buffer of the same memory.

Two questions: how far do neighbours in the text land from each other, and how many sources meet in
a batch? Both are answered from the order and the manifest alone, for a stretch of positions.
"""

import dataclasses

import numpy as np

from pipeline.reading.batches import Batches
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SHUFFLE_BYTES, Windows

_MAX_POSITIONS = 2**19
_INT32_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """Of one shuffle.

    Attributes:
        median_distance: positions between where windows `i` and `i + 1` of the text land; the
            median over the pairs of which both land among the positions that were looked at.
        same_batch: share of these pairs that land in one batch.
        sources: mean number of sources in a batch.
    """

    median_distance: float
    same_batch: float
    sources: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The three shuffles of the same windows, and what was looked at."""

    num_windows: int
    num_positions: int
    buffer_windows: int
    ours: Quality
    perfect: Quality
    buffer: Quality


def measure(
    corpus: Corpus,
    split: str,
    *,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int = 0,
    shuffle_bytes: int = SHUFFLE_BYTES,
) -> Comparison:
    """Measures the first epoch, or its first 2^19 positions.

    The buffer is that of `tf.data.Dataset.shuffle` over windows in the order of the text, as many
    pairs of int32 inputs and targets as fit `shuffle_bytes`. A source is found by the share of
    its shard's text that lies before the window.

    Raises:
        UserError: no such split, or arguments that `Corpus.windows` refuses.
    """
    batches = Batches(
        seq_len=seq_len,
        batch_size=batch_size,
        stride=stride,
        seed=seed,
        shuffle_bytes=shuffle_bytes,
    )
    order = corpus.order(split, batches)
    num_windows = order.num_windows
    num_positions = min(num_windows, _MAX_POSITIONS)
    buffer_windows = max(1, shuffle_bytes // (2 * seq_len * _INT32_BYTES))
    generator = np.random.default_rng(seed)
    source_of = _SourceOf(corpus, split, batches.windows)
    ours = _quality(order.windows(np.arange(num_positions)), batch_size, source_of)
    buffered = _buffered(num_windows, num_positions, buffer_windows, generator)
    buffer = _quality(buffered, batch_size, source_of)
    random = source_of(generator.integers(0, num_windows, num_positions))
    # |i - j| of two places among n has its median at n (1 - 1/sqrt 2).
    perfect = Quality(
        median_distance=num_windows * (1 - 0.5**0.5),
        same_batch=min(1, (batch_size - 1) / max(1, num_windows - 1)),
        sources=_mean_sources(random, batch_size),
    )
    return Comparison(
        num_windows=num_windows,
        num_positions=num_positions,
        buffer_windows=min(buffer_windows, num_windows),
        ours=ours,
        perfect=perfect,
        buffer=buffer,
    )


def _quality(windows: np.ndarray, batch_size: int, source_of: "_SourceOf") -> Quality:
    by_window = np.argsort(windows)
    sorted_windows = windows[by_window]
    neighbours = np.flatnonzero(np.diff(sorted_windows) == 1)
    first, second = by_window[neighbours], by_window[neighbours + 1]
    distances, together = np.abs(first - second), first // batch_size == second // batch_size
    return Quality(
        median_distance=float(np.median(distances)) if len(first) else float("nan"),
        same_batch=float(np.mean(together)) if len(first) else float("nan"),
        sources=_mean_sources(source_of(windows), batch_size),
    )


def _mean_sources(sources: np.ndarray, batch_size: int) -> float:
    """The mean number of sources in the first 2,000 batches, or in the only, smaller one."""
    batches = sources[: max(1, len(sources) // batch_size) * batch_size]
    batches = batches.reshape(-1, min(batch_size, len(sources)))[:2000]
    return float(np.mean([len(np.unique(batch)) for batch in batches]))


def _buffered(
    num_windows: int, num_positions: int, buffer_windows: int, generator: np.random.Generator
) -> np.ndarray:
    """What a shuffle buffer yields: a random one of the buffer, which the next one replaces."""
    buffer = np.arange(min(buffer_windows, num_windows))
    size = len(buffer)
    yielded = np.empty(num_positions, np.int64)
    for position, draw in enumerate(generator.random(num_positions)):
        index = int(draw * size)
        yielded[position] = buffer[index]
        if position + len(buffer) < num_windows:
            buffer[index] = position + len(buffer)
        else:
            size -= 1
            buffer[index] = buffer[size]
    return yielded


class _SourceOf:
    """Windows -> sources."""

    def __init__(self, corpus: Corpus, split: str, windows: Windows):
        shards = corpus.splits[split].shards
        self._first_windows = corpus.first_windows(split, windows)
        pieces = [piece for shard in shards for piece in shard.pieces]
        sizes = np.array([piece.stop - piece.start for piece in pieces], np.float64)
        self._sources = np.array([piece.source_index for piece in pieces])
        counts = [len(shard.pieces) for shard in shards]
        self._piece_ends = np.cumsum(sizes)
        shard_ends = self._piece_ends[np.cumsum(counts) - 1]
        self._shard_starts = np.concatenate([[0], shard_ends])

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        shard = np.searchsorted(self._first_windows, windows, side="right") - 1
        in_shard = windows - self._first_windows[shard]
        share = in_shard / (self._first_windows[shard + 1] - self._first_windows[shard])
        start, stop = self._shard_starts[shard], self._shard_starts[shard + 1]
        place = start + share * (stop - start)
        index = np.searchsorted(self._piece_ends, place, side="right")
        return self._sources[np.minimum(index, len(self._sources) - 1)]
