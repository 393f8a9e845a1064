"""Geometry: windows in tokens, spans in windows or records, groups in spans. Pure arithmetic."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipeline.errors import OptionError, UserError
from pipeline.reading.order import Order

SHUFFLE_BYTES = 256 * 2**20
SPAN_TOKENS = 32 * 2**10
SPAN_BYTES = 32 * 2**10  # of records
_TEXT_ORDER_SPAN_BYTES = 2**20
_LANE_BYTES = 128 * 2**10  # of a lane, read by one seek
_LANES_BYTES = 16 * 2**20  # of all lanes of a host, in memory about three times
_COPIES = 4  # of a group in memory: in use, ready, and being read as pieces and as a whole


def lane_starts(num_lanes: int, num_tokens: int) -> np.ndarray:
    """Where each lane begins in a split of `num_tokens` tokens, `[num_lanes]` int64."""
    return np.arange(num_lanes, dtype=np.int64) * num_tokens // num_lanes


def lane_block_steps(
    num_tokens: int, *, num_lanes: int, host_count: int, seq_len: int, itemsize: int
) -> int:
    """The batches of lanes that a host reads at once: at most those that hold the split once.

    Args:
        num_tokens: of the split.
        num_lanes: of all hosts.
        host_count: hosts that share them.
        seq_len: tokens of a lane in a batch.
        itemsize: bytes of a stored token.
    """
    lane_tokens = min(_LANE_BYTES, _LANES_BYTES * host_count // num_lanes) // itemsize
    once = -(-num_tokens // (num_lanes * seq_len))
    return max(1, min(lane_tokens // seq_len, (num_tokens - 2) // seq_len, once))


def check_lanes(num_tokens: int, *, num_lanes: int, seq_len: int) -> None:
    """Refuses a split of fewer tokens than one batch of lanes holds.

    Raises:
        OptionError: it is that short.
    """
    if num_lanes * seq_len > num_tokens or num_tokens < seq_len + 2:
        raise OptionError(
            f"`batch_size` times `seq_len` must be at most the {num_tokens} tokens of the split, "
            f"got {num_lanes} lanes of {seq_len}; use fewer lanes or a shorter `seq_len`"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Windows:
    """Which windows a split is cut into.

    With `seq_len=3` and `stride=2`, a shard of 9 tokens has 3 windows; token 8 is discarded:

        tokens    0 1 2 3 4 5 6 7 8
        window 0  0 1 2 3
        window 1      2 3 4 5
        window 2          4 5 6 7

    Attributes:
        seq_len: tokens of an input; a window has one more.
        stride: tokens between the starts of two windows.
    """

    seq_len: int
    stride: int

    @property
    def num_tokens(self) -> int:
        """The tokens of a window."""
        return self.seq_len + 1

    @property
    def num_tiles(self) -> int:
        """The tiles, of `stride` tokens each, that hold a window."""
        return -(-self.num_tokens // self.stride)

    def first_windows(self, shard_tokens: Sequence[int]) -> np.ndarray:
        """Numbers the windows of a split: in each shard, starts `0, stride, 2·stride, …` that fit.

        Args:
            shard_tokens: tokens of each shard.

        Returns:
            `[shards + 1]` int64: the window that each shard starts with, then how many there are.
        """
        tokens = np.asarray(shard_tokens, np.int64)
        num_windows = np.maximum(0, (tokens - self.num_tokens) // self.stride + 1)
        return np.concatenate([[0], np.cumsum(num_windows)])


def check_windows(split: str, shard_tokens: Sequence[int], windows: Windows) -> int:
    """Returns the windows of a split, at least one.

    Raises:
        UserError: it has none.
    """
    num_windows = int(windows.first_windows(shard_tokens)[-1])
    if num_windows == 0:
        raise UserError(
            f"split {split!r} has no window of `seq_len` {windows.seq_len}: a window needs "
            f"{windows.num_tokens} tokens in one shard, and the longest shard has "
            f"{max(shard_tokens):,} (the split: {sum(shard_tokens):,}); use a shorter `seq_len` or "
            "prepare more text"
        )
    return num_windows


SINGLE_TOKENS = Windows(seq_len=0, stride=1)


def make_order(
    windows: Windows,
    num_windows: int,
    *,
    itemsize: int,
    seed: int | None,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_tokens: int = SPAN_TOKENS,
) -> Order:
    """Returns the order in which a split is read.

    Args:
        windows: the windows.
        num_windows: their number in the split, at least 1.
        itemsize: bytes of a stored token.
        seed: of the permutations; `None` for the order of the text.
        shuffle_bytes: memory that the shuffle may take.
        span_tokens: tokens of a span, or as many as one window needs.

    Raises:
        OptionError: `shuffle_bytes` is too small for one span.
    """
    if seed is None:
        span_windows = max(1, _TEXT_ORDER_SPAN_BYTES // itemsize // windows.stride)
        return Order(num_windows=num_windows, group_spans=1, span_windows=span_windows, seed=None)
    span_windows = max(1, span_tokens // windows.stride - windows.num_tiles + 1)
    span_bytes = (span_windows - 1 + windows.num_tiles) * windows.stride * itemsize
    return Order(
        num_windows=num_windows,
        group_spans=_group_spans(span_bytes, shuffle_bytes),
        span_windows=span_windows,
        seed=seed,
    )


def make_record_order(
    num_records: int,
    num_bytes: int,
    *,
    seed: int | None,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_bytes: int = SPAN_BYTES,
) -> Order:
    """Returns the order in which the records of some files are read; a record is a window.

    A span has as many records as have `span_bytes` in the mean of all. A group has many spans of
    random places, so that where lengths vary it has about the bytes of as many mean records; where
    few records have most of the bytes, it may have more.

    Args:
        num_records: of all files, at least 1.
        num_bytes: of all files.
        seed: of the permutations; `None` for the order of the files.
        shuffle_bytes: memory that the shuffle may take, in the mean.
        span_bytes: of a span, in the mean, or one record.

    Raises:
        OptionError: `shuffle_bytes` is too small for one span.
    """
    record_bytes = -(-num_bytes // num_records)
    if seed is None:
        span_records = max(1, _TEXT_ORDER_SPAN_BYTES // record_bytes)
        return Order(num_windows=num_records, group_spans=1, span_windows=span_records, seed=None)
    span_records = max(1, span_bytes // record_bytes)
    return Order(
        num_windows=num_records,
        group_spans=_group_spans(span_records * record_bytes, shuffle_bytes),
        span_windows=span_records,
        seed=seed,
    )


def _group_spans(span_bytes: int, shuffle_bytes: int) -> int:
    """The spans of a group that fits the memory."""
    group_spans = shuffle_bytes // _COPIES // span_bytes
    if group_spans < 1:
        raise OptionError(
            f"`shuffle_bytes` must hold {_COPIES} spans of {span_bytes} bytes, got {shuffle_bytes}"
        )
    return group_spans
