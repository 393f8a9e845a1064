"""Batches as NumPy arrays, as a user iterates over them."""

from collections.abc import Callable, Iterator
from typing import Any


class ArrayBatches:
    """Batches as NumPy arrays, in the order of their steps. Use `Corpus.batches` and the like.

    Each `iter(…)` begins anew, at `start_step`, with threads of its own, which end with it. There
    is no other state, so it may be pickled, and used in a process that was forked.

    Args:
        make: returns an iterator of batches.
        num_batches: how many it has; `None`: without end.
    """

    def __init__(self, make: Callable[[], Iterator[Any]], num_batches: int | None):
        self._make = make
        self._num_batches = num_batches

    def __iter__(self) -> Iterator[Any]:
        return self._make()

    def __len__(self) -> int:
        """The batches, where they have an end.

        Raises:
            TypeError: they have none.
        """
        if self._num_batches is None:
            raise TypeError("batches without `epochs` have no end, and so no `len`")
        return self._num_batches
