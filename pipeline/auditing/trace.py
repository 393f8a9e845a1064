"""Which text was in a batch: step -> windows -> bytes of the sources. Without TensorFlow."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.auditing.passages import Passage, find_passages, read_tokens
from pipeline.errors import OptionError
from pipeline.layout.manifest import Shard
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SHUFFLE_BYTES, checked_windows, lane_start


@dataclass(frozen=True, kw_only=True)
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


@dataclass(frozen=True, kw_only=True)
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

    Raises:
        UserError: the split has no window, a shard is damaged, or an argument is out of range.
    """
    windows = checked_windows(seq_len, stride)
    rows = _checked_rows(rows, step=step, batch_size=batch_size)
    order = corpus.order(split, windows, seed=seed, shuffle_bytes=shuffle_bytes)
    shards = corpus.splits[split].shards
    counts = [windows.num_windows(shard.num_tokens) for shard in shards]
    first_windows = [0, *itertools.accumulate(counts)]
    positions = [step * batch_size + row for row in rows]
    traced = []
    for row, position, window in zip(rows, positions, order.windows(positions), strict=True):
        index = bisect.bisect_right(first_windows, window) - 1
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
    checked_windows(seq_len)
    rows = _checked_rows(rows, step=step, batch_size=batch_size)
    num_tokens = corpus.split(split).num_tokens
    traced = []
    for row in rows:
        start = lane_start(row, batch_size, num_tokens) + step * seq_len
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


def _checked_rows(rows: Sequence[int] | None, *, step: int, batch_size: int) -> Sequence[int]:
    if step < 0:
        raise OptionError(f"`step` must be at least 0, not {step}")
    if batch_size < 1:
        raise OptionError(f"`batch_size` must be at least 1, not {batch_size}")
    rows = range(batch_size) if rows is None else rows
    for row in rows:
        if not 0 <= row < batch_size:
            raise OptionError(f"`row` must be in 0 … `batch_size` - 1: {row} of {batch_size}")
    return rows


def describe(traced: TracedWindow | TracedLane) -> str:
    """Returns a traced row for people: where it is from, then its text."""
    places = "; ".join(
        f"{p.source} {p.document + ', ' if p.document else ''}bytes {p.start}-{p.stop - 1}"
        for p in traced.passages
    )
    if isinstance(traced, TracedLane):
        where = f"round {traced.round}, token {traced.first_token} of the split"
    else:
        where = (
            f"epoch {traced.epoch}, window {traced.window}, {traced.shard} token"
            f" {traced.first_token}"
        )
    return f"row {traced.row} ({where})\n  {places}\n  {traced.text!r}"
