"""Splits: which one a text belongs to, by what it is or where it stands."""

import concurrent.futures
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.text.pieces import Part, Source, boundary

SEARCH_BYTES = 64 * 1024  # how far a cut may move to meet a newline
MIN_RANGE_BYTES = 256  # of a source in the smallest split; shorter ones share ranges
_FIRST_RANGE_BYTES = 64  # of the smallest split in a stream
_THREADS = 16  # where files lie in a store, or on a disk that seeks
_SOURCES = 64  # that a thread takes at once: a hand-over takes longer than a file that is cached


def range_ends(fractions: dict[str, float]) -> list[float]:
    """Returns where the range of each split ends in a period, as a fraction of it: the last at 1.

    Args:
        fractions: split -> its share, in order; the shares sum to 1.
    """
    *ends, _ = itertools.accumulate(fractions.values())
    return [*ends, 1.0]


class SplitOf:
    """Bytes -> the split that their hash falls into.

    Args:
        fractions: split -> its share, in order; the shares sum to 1.
    """

    def __init__(self, fractions: dict[str, float]):
        self._splits = list(fractions)
        self._bounds = range_ends(fractions)[:-1]

    def __call__(self, data: bytes) -> str:
        """Returns the split: the same for the same bytes, on every machine, for all time."""
        return self._splits[self.indices([data])[0]]

    def indices(self, texts: Iterable[bytes]) -> np.ndarray:
        """Returns the index of the split of each text, `[n]`."""
        digests = b"".join([hashlib.blake2b(text, digest_size=8).digest() for text in texts])
        fractions = np.frombuffer(digests, ">u8") / 2**64
        return np.searchsorted(self._bounds, fractions, side="right")

    def documents(self, sources: Sequence[Source]) -> list[str]:
        """Returns the splits of sources that are documents, by what `Source.sample` reads of them.

        Equal documents are in one split, and a document stays in its split whatever its name and
        whatever else there is.

        Raises:
            OSError: a source cannot be read.
            UserError: the same, of a URI.
        """
        if len(self._splits) == 1:
            return self._splits * len(sources)

        def splits_of(first: int) -> list[str]:
            return [self(source.sample()) for source in sources[first : first + _SOURCES]]

        with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(splits_of, range(0, len(sources), _SOURCES))
            return list(itertools.chain.from_iterable(found))


class RangeCutter:
    """Cuts texts of unknown length, laid end to end, into ranges for all splits.

    The last part of each period is the last split's; a period is a quarter longer than the one
    before. So every part of the text has its share of each split, there are few cuts (some 70
    periods in 50 GB), and whatever its length, a split's share is at most a fifth too small once
    the text is some periods long.

    Args:
        fractions: split -> its share, in order.
    """

    def __init__(self, fractions: dict[str, float]):
        self._ranges = _growing_ranges(fractions)
        self._position = 0  # in all texts
        self._next_range()

    def _next_range(self) -> None:
        self._split, self._stop, self._search_bytes = next(self._ranges)

    def cut(self, blocks: Iterable[bytes]) -> Iterator[tuple[str, Part]]:
        """Cuts the next text.

        Args:
            blocks: the text, cut anywhere.

        Yields:
            A split, and a block of a range of it: `position` is where the range starts in the
            text, `final` says that it ends, if only with the text.
        """
        if self._stop == self._position:
            self._next_range()
        first = start = self._position  # of the text, of the range in it
        held = b""
        for block, following in itertools.chain(((each, True) for each in blocks), [(b"", False)]):
            held += block
            while True:
                before, window = self._stop - self._position, max(self._search_bytes, 4)
                if len(held) <= before + (window if following else 0):
                    break
                cut = before + boundary(held[before : before + window], self._search_bytes)
                if cut == len(held):
                    break  # the end of the text: no empty range follows
                yield self._split, Part(held[:cut], start - first, 0, True)
                start = self._position = self._position + cut
                held = held[cut:]
                self._next_range()
            if following and before > 0 and held:
                yield self._split, Part(held[:before], start - first, 0, False)
                self._position += len(held[:before])
                held = held[before:]
        if self._position + len(held) > start:
            yield self._split, Part(held, start - first, 0, True)
        self._position += len(held)
        while self._stop < self._position:
            self._next_range()


def _growing_ranges(fractions: dict[str, float]) -> Iterator[tuple[str, int, int]]:
    """Yields splits, where a range of each stops, and how far that may move. Without end."""
    smallest = min(fractions.values())
    ends = range_ends(fractions)
    start, period = 0, math.ceil(_FIRST_RANGE_BYTES / smallest)
    while True:
        # Half of the smallest range: a cut that moves on must not swallow a split.
        search_bytes = min(SEARCH_BYTES, int(period * smallest / 2))
        for split, end in zip(fractions, ends, strict=True):
            yield split, start + round(period * end), search_bytes
        start += period
        period += period // 4
