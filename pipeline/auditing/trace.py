"""Trace of a batch: step -> windows -> bytes of the sources. Without TensorFlow."""

import bisect
import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.auditing.passages import Passage, find_passages, read_tokens
from pipeline.errors import OptionError
from pipeline.layout.manifest import Shard
from pipeline.reading.batches import Batches, Batching
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_TOKENS, lane_starts


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedWindow:
    """One row of a batch.

    Attributes:
        row: index in the global batch.
        position: in the endless training order.
        epoch: which one, from 0.
        window: its number in the split.
        shard: the file that holds it.
        first_token: index in the shard of its first token.
        text: what it says; `seq_len + 1` tokens.
        passages: where that stands in the sources; several where documents meet.
    """

    row: int
    position: int
    epoch: int
    window: int
    shard: str
    first_token: int
    text: str
    passages: tuple[Passage, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedLane:
    """What one lane reads at a step.

    Attributes:
        row: index in the global batch.
        round: how often the lane has passed the end of the split.
        first_token: index in the split of its first token.
        text: what it says; `seq_len + 1` tokens.
        passages: where that stands in the sources.
    """

    row: int
    round: int
    first_token: int
    text: str
    passages: tuple[Passage, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """What a run trains on.

    Attributes:
        corpus: the directory of the corpus.
        split: the name of the split.
        batches: of the split.
        lanes: whether they are lanes, not windows.
    """

    corpus: str
    split: str
    batches: Batches
    lanes: bool


def trace(
    corpus: Corpus,
    split: str,
    *,
    step: int,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int | None = 0,
    rows: Sequence[int] | None = None,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_tokens: int = SPAN_TOKENS,
) -> list[TracedWindow]:
    """Returns the windows of the batch of a step; the arguments are those of `Corpus.windows`.

    Reads only the shards that hold them: for bytes just the windows, else the shards up to them.

    Args:
        corpus: the corpus.
        split: its name.
        step: the batch, from 0.
        seq_len: tokens of an input.
        batch_size: rows of the global batch.
        stride: tokens between the starts of two windows; `None` means `seq_len`.
        seed: of the shuffle; `None` for the order of the text.
        rows: which rows of the batch; `None` for all.
        shuffle_bytes: memory of the shuffle, in bytes.
        span_tokens: as in `Corpus.windows`.

    Raises:
        UserError: the split has no window, a shard is damaged, or an argument is out of range.
    """
    batches = Batches(
        seq_len=seq_len,
        batch_size=batch_size,
        stride=stride,
        seed=seed,
        start_step=step,
        shuffle_bytes=shuffle_bytes,
        span_tokens=span_tokens,
    )
    rows = checked_rows(batches, rows)
    order, windows = corpus.order(split, batches), batches.windows
    shards = corpus.splits[split].shards
    first_windows = corpus.first_windows(split, windows)
    positions = [batches.start_step * batches.batch_size + row for row in rows]
    traced = []
    for row, position, window in zip(rows, positions, order.windows(positions), strict=True):
        index = int(np.searchsorted(first_windows, window, side="right")) - 1
        first_token = int(window - first_windows[index]) * windows.stride
        tokens = read_tokens(corpus, shards[index], first_token, first_token + windows.num_tokens)
        traced.append(
            TracedWindow(
                row=row,
                position=position,
                epoch=position // order.num_windows,
                window=int(window),
                shard=shards[index].file,
                first_token=first_token,
                text=corpus.vocabulary.decode(tokens),
                passages=find_passages(corpus, shards[index], first_token, tokens),
            )
        )
    return traced


def trace_lanes(
    corpus: Corpus,
    split: str,
    *,
    step: int,
    seq_len: int,
    batch_size: int,
    rows: Sequence[int] | None = None,
) -> list[TracedLane]:
    """Returns what the lanes read at a step; the arguments are those of `Corpus.lanes`.

    Args:
        corpus: the corpus.
        split: its name.
        step: the batch, from 0.
        seq_len: tokens of an input.
        batch_size: rows of the global batch.
        rows: which rows of the batch; `None` for all.

    Raises:
        UserError: no such split, a shard is damaged, or an argument is out of range.
    """
    batches = Batches(seq_len=seq_len, batch_size=batch_size, start_step=step)
    rows = checked_rows(batches, rows)
    num_tokens = corpus.split(split).num_tokens
    starts = lane_starts(batches.batch_size, num_tokens) + batches.start_step * seq_len
    traced = []
    for row in rows:
        start = int(starts[row])
        tokens: list[np.ndarray] = []
        passages: list[Passage] = []
        for shard, first, last in _pieces(corpus.split(split).shards, start, seq_len + 1):
            tokens.append(read_tokens(corpus, shard, first, last))
            passages += find_passages(corpus, shard, first, tokens[-1])
        traced.append(
            TracedLane(
                row=row,
                round=start // num_tokens,
                first_token=start % num_tokens,
                text=corpus.vocabulary.decode(np.concatenate(tokens)),
                passages=tuple(passages),
            )
        )
    return traced


def _pieces(
    shards: Sequence[Shard], start: int, num_tokens: int
) -> Iterator[tuple[Shard, int, int]]:
    """Yields the pieces of a stretch of the ring of all tokens: shard, first token, end."""
    first_tokens = [0, *itertools.accumulate(shard.num_tokens for shard in shards)]
    while num_tokens:
        start %= first_tokens[-1]
        index = bisect.bisect_right(first_tokens, start) - 1
        first = start - first_tokens[index]
        last = min(first + num_tokens, shards[index].num_tokens)
        yield shards[index], first, last
        start, num_tokens = start + last - first, num_tokens - (last - first)


def checked_rows(batches: Batching, rows: Sequence[int] | None) -> Sequence[int]:
    """Rows of a batch, all of them for `None`.

    Raises:
        OptionError: there is no such row.
    """
    if rows is None:
        return range(batches.batch_size)
    for row in rows:
        if not 0 <= row < batches.batch_size:
            raise OptionError(
                f"`row` must be in 0 … `batch_size` - 1, got {row} of {batches.batch_size}"
            )
    return rows
