"""Reading of files, here and in stores."""

import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files import store
from pipeline.files.local import os_errors_name
from pipeline.files.paths import is_in_store, local_path

BLOCK_BYTES = 64 * 1024  # with larger ones the allocator keeps more than it saves


def open_file(path: str, *, stop: int | None = None) -> BinaryIO:
    """Opens a file for reading, unbuffered.

    Args:
        path: the file.
        stop: in a store, it seems to end there: no request brings more, and none asks how long it
            is; `None`: at its end.

    Raises:
        OSError: it cannot be opened.
        UserError: the same, in a store; or it is no regular file, which could block for ever.
    """
    if is_in_store(path):
        return store.open_read(path, stop=stop)
    path = local_path(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path} is not a regular file")
    return cast(BinaryIO, open(path, "rb", buffering=0))


def read_first(path: str, num_bytes: int) -> bytes:
    """Returns the first bytes of a file, which is known to be a regular one.

    Raises:
        OSError: it cannot be read.
        UserError: the same, in a store.
    """
    if is_in_store(path):
        return store.read_range(path, 0, num_bytes)
    file = os.open(local_path(path), os.O_RDONLY | os.O_CLOEXEC)  # half the price of `open`
    try:
        return os.read(file, num_bytes)
    finally:
        os.close(file)


def read_range(path: str, start: int, stop: int) -> bytes:
    """Returns the bytes `start … stop - 1` of a file, in a store by one request.

    Raises:
        UserError: the file ends before `stop`, or cannot be read.
        OSError: it cannot be read.
    """
    if not is_in_store(path):
        # By one read, for after each a thread that has others beside it waits for its turn.
        return b"".join(read_blocks(path, start, stop, block_bytes=max(1, stop - start)))
    data = store.read_range(path, start, stop)
    if len(data) != stop - start:
        raise UserError(f"{path} has no {stop - start} bytes from byte {start}: it has changed")
    return data


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Reads a file.

    Raises:
        OSError: it cannot be read, FileNotFoundError where it is not there.
        UserError: the same, in a store.
    """
    path = os.fspath(path)
    if is_in_store(path):
        return store.read_whole(path)
    with open_file(path) as file, os_errors_name(path):
        return b"".join(iter(functools.partial(file.read, BLOCK_BYTES), b""))


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a file of UTF-8.

    Raises:
        OSError: it cannot be read, FileNotFoundError where it is not there.
        UserError: the same, in a store.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path).decode()


def parse_json(text: str, path: str | os.PathLike[str]) -> Any:
    """Parses JSON from whomever.

    Raises:
        UserError: it is none, or nested too deep, or has a number of thousands of digits.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: no valid JSON ({error})") from error


@contextlib.contextmanager
def local_copy(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yields where a file lies on this machine: a temporary copy, if it is in a store.

    Raises:
        FileNotFoundError: there is none, in a store.
        UserError: it cannot be read, in a store.
    """
    path = os.fspath(path)
    if not is_in_store(path):
        yield local_path(path)
        return
    with tempfile.NamedTemporaryFile(prefix="textreel-") as copy:
        store.fetch(path, copy.name)
        yield copy.name


def digest(path: str | os.PathLike[str]) -> str:
    """Returns the BLAKE3 of a file, in hex.

    Raises:
        OSError: it cannot be read.
        UserError: the same, in a store.
    """
    with open_file(os.fspath(path)) as file:
        return hashlib.file_digest(cast(Any, file), cast(Any, blake3)).hexdigest()


def read_blocks(
    path: str,
    start: int,
    stop: int,
    *,
    block_bytes: int = BLOCK_BYTES,
    whole: bool = True,
) -> Iterator[bytes]:
    """Yields the bytes `start … stop - 1` of a file in blocks of at most `block_bytes`.

    Args:
        path: the file.
        start: the first byte.
        stop: the byte after the last.
        block_bytes: most bytes of a block.
        whole: all of it is wanted: a store is asked for large ranges, for the next one while one
            is used. Else for more and more from little on, as long as blocks are taken.

    Raises:
        UserError: the file ends before `stop`.
    """
    if whole and is_in_store(path):
        for data in _ranges_ahead(path, start, stop):
            yield from (data[at : at + block_bytes] for at in range(0, len(data), block_bytes))
        return
    with open_file(path, stop=stop) as file, os_errors_name(path):
        file.seek(start)
        while start < stop:
            block = file.read(min(block_bytes, stop - start))
            if not block:
                raise _ends_early(path, start, stop)
            start += len(block)
            yield block


def _ranges_ahead(path: str, start: int, stop: int) -> Iterator[bytes]:
    """Yields ranges of a file in a store, two of them in memory."""

    def fetch(first: int) -> bytes:
        last = min(first + store.MOST_READ_BYTES, stop)
        data = store.read_range(path, first, last)
        if len(data) != last - first:
            raise _ends_early(path, first + len(data), stop)
        return data

    starts = range(start, stop, store.MOST_READ_BYTES)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # no thread where there is one range
        data = fetch(start) if starts else b""
        for following in starts[1:]:
            coming = pool.submit(fetch, following)
            yield data
            data = coming.result()
        yield data


def _ends_early(path: str, end: int, stop: int) -> UserError:
    return UserError(
        f"{path} ends at byte {end}, but had {stop} bytes when the work was planned; it changed "
        "meanwhile: run the same command again"
    )
