"""Allocator of the C library: what a step frees stays with the process for the next step.

By default glibc gives a step's large buffers back to the system and takes them anew, page by page.
"""

import ctypes
import os
import sys

# Of glibc's <malloc.h>.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_MIB = 2**20
_OPTIONS = (
    (_M_MMAP_THRESHOLD, 32 * _MIB),  # the most that it takes; larger blocks are mapped one by one
    (_M_TRIM_THRESHOLD, 2**31 - 1),
    (_M_TOP_PAD, 256 * _MIB),  # addresses, not memory; more than a thread's heap, so that it stays
)


def keep_freed_memory() -> None:
    """Lets this process keep the memory that it frees, and use it again.

    It has no effect with another C library than glibc, another allocator that is preloaded, or
    where the environment has settings of glibc's own (`MALLOC_…_`, `GLIBC_TUNABLES`).
    """
    if sys.platform != "linux" or _is_set_by_user():
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        # Eight times the cores by default: each arena would keep memory that others lack.
        for option, value in (*_OPTIONS, (_M_ARENA_MAX, len(os.sched_getaffinity(0)))):
            library.mallopt(option, value)


def _is_set_by_user() -> bool:
    names = [name for name in os.environ if name.startswith("MALLOC_") and name.endswith("_")]
    return bool(names) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
