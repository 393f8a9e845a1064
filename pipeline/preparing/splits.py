"""Splits: which one a text belongs to, by what the text is."""

import bisect
import concurrent.futures
import hashlib
import itertools
from collections.abc import Sequence

from pipeline.text.pieces import Source

_THREADS = 16  # where files lie in a store, or on a disk that seeks
_SOURCES = 64  # that a thread takes at once: a hand-over takes longer than a file that is cached


class SplitOf:
    """Bytes -> the split that their hash falls into.

    Args:
        fractions: split -> its share, in order; the shares sum to 1.
    """

    def __init__(self, fractions: dict[str, float]):
        self._splits = list(fractions)
        self._bounds = list(itertools.accumulate(fractions.values()))[:-1]

    def __call__(self, data: bytes) -> str:
        """Returns the split: the same for the same bytes, on every machine, for all time."""
        digest = hashlib.blake2b(data, digest_size=8).digest()
        fraction = int.from_bytes(digest, "big") / 2**64
        return self._splits[bisect.bisect_right(self._bounds, fraction)]

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
