"""Quality of the shuffle, beside a perfect one and a shuffle buffer of the same memory.

How do the shares of the sources vary from batch to batch, do they depend on each other, how far do
neighbours in the text land from each other, and what does a host read? All is answered from the
order and the manifest alone, for stretches of positions spread over the first epoch.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from pipeline.errors import OptionError
from pipeline.reading.batches import Batches, Batching
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_TOKENS, Windows
from pipeline.reading.order import Order

_NUM_STRETCHES = 16
_MAX_POSITIONS = 2**20
_MAX_BUFFER_POSITIONS = 2**19  # these are drawn one by one
_LAGS = 64
_MAX_SOURCES = 64
_INT32_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """Of one shuffle.

    Attributes:
        variance: of a source's share in a batch, over that of batches drawn at random without
            replacement (the hypergeometric distribution); of all sources together, or of 64 runs of
            neighbours among them.
        autocorrelation: of that share, the mean over lags of 1 to 64 batches.
        same_batch: how many pairs of windows `i` and `i + 1` of the text stand in one batch.
        expected_same_batch: how many do in a perfect shuffle, in the mean.
        median_distance: positions between where such windows land; the median over the pairs of
            which both land among the positions that were looked at.
        sources: mean number of sources in a batch.
    """

    variance: float
    autocorrelation: float
    same_batch: int
    expected_same_batch: float
    median_distance: float
    sources: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The shuffles of the same windows, and what was looked at.

    Attributes:
        num_windows: of the split.
        num_positions: that were looked at.
        buffer_windows: of the shuffle buffer.
        ours: over the epoch.
        our_end: the last positions of the epoch.
        perfect: a random permutation.
        buffer: the shuffle buffer.
        unavoidable: the autocorrelation that any order has whose groups hold as many spans, where
            a span is of one source.
        host_bytes: hosts -> the most that one of them reads of an epoch, as a fraction of the
            split's bytes; of 1, 2, 3, 4 and 8 hosts where they divide the batch.
    """

    num_windows: int
    num_positions: int
    buffer_windows: int
    ours: Quality
    our_end: Quality
    perfect: Quality
    buffer: Quality
    unavoidable: float
    host_bytes: dict[int, float]


def measure(
    corpus: Corpus,
    split: str,
    *,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int = 0,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_tokens: int = SPAN_TOKENS,
) -> Comparison:
    """Measures the first epoch, or 2^20 positions spread over it.

    The buffer is that of `tf.data.Dataset.shuffle` over windows in the order of the text, as many
    pairs of int32 inputs and targets as fit `shuffle_bytes`. A source is found by the share of
    its shard's text that lies before the window.

    Raises:
        UserError: no such split, fewer windows than a batch, or arguments that `Corpus.windows`
            refuses.
    """
    batches = Batches(
        seq_len=seq_len,
        batch_size=batch_size,
        stride=stride,
        seed=seed,
        shuffle_bytes=shuffle_bytes,
        span_tokens=span_tokens,
    )
    return compare(
        corpus.order(split, batches),
        batches,
        source_of=_SourceOf(corpus, split, batches.windows),
        bytes_of=lambda starts, counts: _token_bytes(corpus, batches.windows, starts, counts),
        buffer_windows=max(1, shuffle_bytes // (2 * seq_len * _INT32_BYTES)),
        of="windows of the split",
    )


class SourceOf(Protocol):
    """Windows -> sources, `[n]` int64 each; `num_sources` of them."""

    num_sources: int

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Returns the sources of windows."""


BytesOf = Callable[[np.ndarray, np.ndarray], int]  # spans: first windows, and numbers of windows


def compare(
    order: Order,
    batches: Batching,
    *,
    source_of: SourceOf,
    bytes_of: BytesOf,
    buffer_windows: int,
    of: str,
) -> Comparison:
    """Measures an order of windows of any kind; see `measure`.

    Args:
        order: what is measured.
        batches: of which size, of which seed.
        source_of: windows -> sources.
        bytes_of: what is read for spans, which come in the order of the text.
        buffer_windows: of the shuffle buffer.
        of: what the windows are, in the plural.

    Raises:
        OptionError: fewer windows than a batch.
    """
    num_windows, batch_size = order.num_windows, batches.batch_size
    num_batches = num_windows // batch_size
    if not num_batches:
        raise OptionError(f"`batch_size` must be at most the {num_windows} {of}, got {batch_size}")
    generator = np.random.default_rng(batches.seed)
    look = _Look(source_of, num_windows, batch_size)

    stretches = min(_NUM_STRETCHES, max(1, num_batches // _LAGS // 2))
    length = min(num_batches // stretches, _MAX_POSITIONS // stretches // batch_size or 1)
    starts = np.arange(stretches) * (num_batches // stretches)
    step = starts[:, None] + np.arange(length)  # [stretches, batches of a stretch]
    positions = (step[:, :, None] * batch_size + np.arange(batch_size)).reshape(-1)
    last = (num_windows - length * batch_size) + np.arange(length * batch_size)
    num_buffered = min(num_windows, _MAX_BUFFER_POSITIONS, positions.size)
    random = (
        generator.permutation(num_windows)[: positions.size]
        if num_windows < 2**22
        else generator.integers(0, num_windows, positions.size)
    )
    group_spans = len(order.group(0).first_windows)
    return Comparison(
        num_windows=num_windows,
        num_positions=positions.size,
        buffer_windows=min(buffer_windows, num_windows),
        ours=look(order.windows(positions), stretches),
        our_end=look(order.windows(last), 1),
        perfect=look(random, stretches),
        buffer=look(_buffered(num_windows, num_buffered, buffer_windows, generator), 1),
        unavoidable=batch_size / group_spans * (1 - 1 / order.num_groups),
        host_bytes={
            host_count: _host_bytes(order, batches, bytes_of, host_count)
            for host_count in (1, 2, 3, 4, 8)
            if batch_size % host_count == 0
        },
    )


class _Look:
    """Windows in the order of a shuffle -> its quality."""

    def __init__(self, source_of: SourceOf, num_windows: int, batch_size: int):
        self._source_of = source_of
        self._num_windows = num_windows
        self._batch_size = batch_size
        step = max(1, num_windows // _MAX_POSITIONS)
        every = self._parts(source_of(np.arange(0, num_windows, step)))
        self._shares = np.bincount(every, minlength=self._num_parts) / len(every)

    @property
    def _num_parts(self) -> int:
        return min(self._source_of.num_sources, _MAX_SOURCES)

    def _parts(self, sources: np.ndarray) -> np.ndarray:
        """Many sources are taken together, neighbours with neighbours."""
        return sources * self._num_parts // self._source_of.num_sources

    def __call__(self, windows: np.ndarray, stretches: int) -> Quality:
        size, total = self._batch_size, self._num_windows
        windows = windows[: len(windows) // (stretches * size) * stretches * size]
        batches = windows.reshape(stretches, -1, size)
        num_batches = batches.shape[1]
        sources = self._source_of(windows).reshape(stretches * num_batches, size)
        number = np.arange(stretches * num_batches)[:, None] * len(self._shares)
        counts = np.bincount(
            (self._parts(sources) + number).reshape(-1), minlength=number.size * len(self._shares)
        ).reshape(stretches, num_batches, -1)
        away = counts / size - self._shares
        perfect = (self._shares * (1 - self._shares)).sum() / size
        perfect *= (total - size) / max(1, total - 1)
        squares = (away**2).sum()
        num_lags = min(_LAGS, num_batches - 1)
        sums = np.cumsum(np.pad(away, ((0, 0), (1, num_lags), (0, 0))), axis=1)
        following = sums[:, num_lags + 1 :] - sums[:, 1 : num_batches + 1]
        num_pairs = stretches * (num_batches * num_lags - num_lags * (num_lags + 1) // 2)
        products = (away * following).sum()
        ascending = np.sort(sources, axis=1)
        by_window = np.argsort(windows)
        neighbours = np.flatnonzero(np.diff(windows[by_window]) == 1)
        first, second = by_window[neighbours], by_window[neighbours + 1]
        return Quality(
            variance=float(squares / number.size / perfect) if perfect > 0 else float("nan"),
            autocorrelation=float(products / num_pairs / squares * number.size)
            if num_pairs and squares > 0
            else float("nan"),
            same_batch=int((first // size == second // size).sum()),
            expected_same_batch=len(windows) * (size - 1) / total,
            median_distance=float(np.median(abs(first - second))) if len(first) else float("nan"),
            sources=float(1 + (np.diff(ascending, axis=1) > 0).sum(axis=1).mean()),
        )


def _host_bytes(order: Order, batches: Batching, bytes_of: BytesOf, host_count: int) -> float:
    """What the host that reads most reads of up to 16 groups, over what one that reads all does."""
    groups = [order.group(index) for index in range(min(16, order.num_groups))]
    own = bytes_of(np.array([0]), np.array([sum(int(group.num_windows) for group in groups)]))
    read = []
    for host_index in range(host_count):
        host = dataclasses.replace(batches, host_index=host_index, host_count=host_count)
        residues = host.residues(order.stripes)
        read.append(0)
        for group in groups:
            stripe = np.arange(len(group.first_windows)) // (group.rows + 1)
            wanted = residues[(group.start + stripe) % len(residues)] & (group.span_windows > 0)
            by_start = np.argsort(group.first_windows[wanted])
            read[-1] += bytes_of(
                group.first_windows[wanted][by_start], group.span_windows[wanted][by_start]
            )
    return max(read) / own


def _token_bytes(corpus: Corpus, windows: Windows, starts: np.ndarray, counts: np.ndarray) -> int:
    """The bytes of tokens in the records that are read for spans of windows."""
    record_tokens, ends = corpus.manifest.record_tokens, starts + counts
    apart = starts[1:] - ends[:-1] > record_tokens // windows.stride
    first = starts[np.concatenate([[True], apart])] * windows.stride
    last = (ends[np.concatenate([apart, [True]])] - 1) * windows.stride + windows.num_tokens - 1
    num_records = int((last // record_tokens - first // record_tokens + 1).sum())
    return num_records * record_tokens * corpus.vocabulary.dtype.itemsize


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
        self.num_sources = int(self._sources.max()) + 1
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
