"""Memory that is freed goes back to the system."""

import ctypes
import functools
from collections.abc import Callable


def give_back_memory() -> None:
    """Gives free memory back, which the C library would keep for what comes next.

    It has no effect with another C library than glibc. Milliseconds, and whoever needs memory then
    takes it anew.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda _: None
    return found
