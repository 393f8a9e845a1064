"""What an epoch of training asks of a store: bounds.

Exact are later epochs from a cache that holds all. Which ranges come from the store before a whole
shard is here depends on who is faster.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pipeline.files import FETCH_BYTES, Requests
from pipeline.layout.records import file_bytes, record_bytes
from pipeline.layout.sealed import FIRST_LINE_BYTES
from pipeline.reading.arrays.spans import READ_BYTES
from pipeline.reading.geometry import Windows, make_order


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """At least and at most so much."""

    least: Requests
    most: Requests


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRequests:
    """What an epoch asks of a store, over all hosts, in the usual order and at the usual options.

    Opening the corpus, once, is not in it: under 20 requests a host, the manifest and the
    vocabulary.

    Attributes:
        first: through a cache that is empty, and that all fits in.
        later: from a cache that holds all.
        uncached: nothing is kept (`--cache_bytes 0`).
    """

    first: Bounds
    later: Requests
    uncached: Bounds


def requests_of_epoch(
    shard_tokens: Sequence[int],
    windows: Windows,
    *,
    itemsize: int,
    record_tokens: int,
    hosts: int = 1,
) -> EpochRequests | None:
    """Bounds what an epoch over a split asks.

    Args:
        shard_tokens: of each shard of the split.
        windows: which windows are read.
        itemsize: bytes of a stored token.
        record_tokens: tokens of a full record.
        hosts: that share every batch, each with a cache of its own.

    Returns:
        The bounds; `None` where the split has no window.
    """
    counts = np.diff(windows.first_windows(shard_tokens))
    num_windows, num_shards = int(counts.sum()), int(np.count_nonzero(counts))
    if num_windows == 0:
        return None
    order = make_order(windows, num_windows, itemsize=itemsize, seed=0)
    # Whoever replaces a corpus takes its manifest away: each group looks at its first line.
    checks = Requests(reads=1, out_bytes=FIRST_LINE_BYTES) * (order.num_groups * hosts)
    used = [tokens for tokens, count in zip(shard_tokens, counts, strict=True) if count]
    sizes = [file_bytes(n, record_tokens=record_tokens, itemsize=itemsize) for n in used]

    # At most: each span by a seek of its own, and cut where a shard ends; a group of all is read
    # from end to end, from somewhere in a shard on.
    overhang = max(0, windows.num_tokens - windows.stride)
    is_one = order.num_groups == 1 and hosts == 1
    num_spans = -(-num_windows // order.span_windows) + order.stripes * order.num_groups
    num_pieces = num_shards + 1 if is_one else num_spans + num_shards
    num_tokens = num_windows * windows.stride + num_pieces * overhang
    num_pieces += num_tokens * itemsize // READ_BYTES
    full = record_bytes(record_tokens * itemsize)
    if is_one:  # only where one read ends and the next begins, records are read twice
        most_bytes = sum(sizes) + (num_pieces - num_shards) * full * (2 + overhang // record_tokens)
    else:
        most_bytes = (num_tokens // record_tokens + 2 * num_pieces) * full
    ranges = Requests(reads=num_pieces, out_bytes=most_bytes) * hosts

    # At least: every shard once, and of it what its windows hold.
    step = min(windows.stride, windows.num_tokens)
    held = (num_windows - num_shards) * step + num_shards * windows.num_tokens
    least = checks + Requests(reads=num_shards, out_bytes=held * itemsize)
    fetches = Requests(reads=sum(-(-size // FETCH_BYTES) for size in sizes), out_bytes=sum(sizes))
    return EpochRequests(
        first=Bounds(least=least, most=checks + ranges + fetches * hosts),
        later=checks,
        uncached=Bounds(least=least, most=checks + ranges),
    )
