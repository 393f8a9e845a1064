"""Fetching from a store to this machine, by several requests at once: files, and many ranges."""

import concurrent.futures
import os
from collections.abc import Sequence

from pipeline.files.paths import is_in_store
from pipeline.files.reading import read_range

FETCH_BYTES = 8 * 2**20  # of a request: few enough requests, and small enough to do again
_REQUESTS = 8  # under way at once


def fetch_file(uri: str, local: str | os.PathLike[str], *, num_bytes: int, start: int = 0) -> None:
    """Fetches the bytes of a file from `start` on and adds them to a file of this machine.

    What is there is always the beginning of the file, without gaps: a fetch that was cut off goes
    on at its end.

    Args:
        uri: the file.
        local: what is made, or what has the first `start` bytes already.
        num_bytes: of the file.
        start: the first byte to fetch.

    Raises:
        UserError: it cannot be read, or is shorter.
        OSError: it cannot be written.
    """
    with (
        open(local, "ab") as file,
        concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool,
    ):
        file.truncate(start)
        for first in range(start, num_bytes, _REQUESTS * FETCH_BYTES):  # so much is in memory
            stop = min(first + _REQUESTS * FETCH_BYTES, num_bytes)
            starts = range(first, stop, FETCH_BYTES)
            stops = [min(part + FETCH_BYTES, stop) for part in starts]
            for part in pool.map(read_range, [uri] * len(starts), starts, stops):
                file.write(part)


def read_ranges(path: str, starts: Sequence[int], stops: Sequence[int]) -> list[bytes]:
    """Returns many ranges of a file, each as `read_range` does.

    Raises:
        UserError: the file ends before one of `stops`, or cannot be read.
        OSError: it cannot be read.
    """
    paths = [path] * len(starts)
    if not is_in_store(path):
        return list(map(read_range, paths, starts, stops))
    with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(read_range, paths, starts, stops))
