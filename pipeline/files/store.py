"""Files in stores, through `fsspec`: looked up, listed, read, put whole, copied, removed.

Nothing is kept of what a store said: each answer is its own.
"""

import contextlib
import io
import os
import shutil
from typing import Any, BinaryIO, cast

from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files.azure import PART_BYTES
from pipeline.files.failures import StoreError, http_status, retried
from pipeline.files.paths import EXTRAS
from pipeline.files.status import FileStatus
from pipeline.files.systems import file_system

_READ_BYTES, MOST_READ_BYTES = 64 * 1024, 4 * 2**20  # at once: the first time, and in a row
_NOTHING_THERE = 416  # of HTTP: the file has none of the bytes that were asked for
_TAGS = ("ETag", "etag", "generation", "blob_id", "Content-MD5")  # change with the content
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
_UPLOADS: dict[str, dict[str, Any]] = {  # so that one part is in memory, not ten of 50 MB
    "gcs": {"chunksize": PART_BYTES},
    "s3": {"chunksize": PART_BYTES, "max_concurrency": 1},
    "azure": {"max_concurrency": 2},
}
_WHOLE_READS = {"s3": {"start": 0}}  # else s3fs asks how long it is, before it reads


def status(uri: str) -> FileStatus | None:
    """Looks up a URI; `None` where there is nothing.

    Raises:
        UserError: it cannot be read.
    """
    system, path = file_system(uri)
    try:
        return _status(uri, retried(uri, "read", lambda: system.info(path)))
    except FileNotFoundError:
        return None


def _status(uri: str, info: dict[str, Any]) -> FileStatus:
    is_directory = info.get("type") == "directory"
    size = info.get("size")
    if size is None and not is_directory:
        raise UserError(f"{uri} cannot be read: the server does not say how long it is")
    return FileStatus(
        is_directory=is_directory,
        num_bytes=0 if is_directory else int(size or 0),
        modified=0 if is_directory else _state(info),
        identity=uri,
    )


def _state(info: dict[str, Any]) -> int:
    """A number that changes when the content does: of the store's tag, or else of the time."""
    found = [str(info[name]).strip('"') for name in (*_TAGS, *_TIMES) if info.get(name)]
    return int.from_bytes(blake3(found[0].encode()).digest(7), "little") if found else 0


def entries(uri: str) -> dict[str, FileStatus]:
    """Lists a directory: the names in it -> what they are; empty where there is none.

    Raises:
        UserError: it cannot be listed.
    """
    system, path = file_system(uri)
    try:
        found = retried(uri, "listed", lambda: system.ls(path, detail=True))
    except FileNotFoundError:
        return {}
    listed = {}
    for info in found:
        name = str(info["name"]).rstrip("/").rpartition("/")[2]
        if name and str(info["name"]).rstrip("/") != path.rstrip("/"):
            listed[name] = _status(f"{uri.rstrip('/')}/{name}", info)
    return listed


def matching(pattern: str) -> list[str]:
    """Lists what a pattern matches.

    Raises:
        UserError: it cannot be listed.
    """
    system, path = file_system(pattern)
    found = retried(pattern, "listed", lambda: system.glob(path))
    before = pattern[: len(pattern) - len(path)] if pattern.endswith(path) else ""
    return [before + str(name) for name in found]


def open_read(uri: str, *, stop: int | None = None) -> BinaryIO:
    """Opens a file for reading, unbuffered but for what comes with a request.

    Args:
        uri: the file.
        stop: where it seems to end: that it has so many bytes is known. `None` looks at it.

    Raises:
        FileNotFoundError: there is none; with `stop`, reading says so.
        UserError: it cannot be read.
    """
    if stop is not None:
        return cast(BinaryIO, _StoreFile(uri, stop))
    found = status(uri)
    if found is None:
        raise FileNotFoundError(f"no such file: {uri}")
    if found.is_directory:
        raise UserError(f"{uri} cannot be read: it is a directory")
    return cast(BinaryIO, _StoreFile(uri, found.num_bytes))


def read_whole(uri: str) -> bytes:
    """Returns the bytes of a file, by one request.

    Raises:
        FileNotFoundError: there is none.
        UserError: it cannot be read.
    """
    system, path = file_system(uri)
    options = _WHOLE_READS.get(_extra(uri), {})
    return retried(uri, "read", lambda: _cat(system, path, **options))


def fetch(uri: str, local: str) -> None:
    """Copies a file of a store to this machine.

    Raises:
        FileNotFoundError: there is none.
        UserError: it cannot be read.
    """
    with open_read(uri) as theirs, open(local, "wb") as own:
        shutil.copyfileobj(theirs, own, MOST_READ_BYTES)


def read_range(uri: str, start: int, stop: int) -> bytes:
    """Returns the bytes `start … stop - 1` of a file, by one request; fewer where it ends before.

    Raises:
        FileNotFoundError: there is none.
        UserError: it cannot be read.
    """
    system, path = file_system(uri)
    if stop <= start:
        return b""
    data = retried(uri, "read", lambda: _cat(system, path, start=start, end=stop))
    if len(data) > stop - start:  # a server that sends the whole, whatever it is asked
        return data[start:stop]
    return data


def _cat(system: Any, path: str, **limits: int) -> bytes:
    try:
        return bytes(system.cat_file(path, **limits))
    except Exception as error:
        if http_status(error) == _NOTHING_THERE:
            return b""
        raise


class _StoreFile(io.RawIOBase):
    """A file of Python, as the libraries that read formats expect it.

    Requests are for more and more bytes while it is read on, so that a look costs little, and
    reading the whole few requests.
    """

    def __init__(self, uri: str, num_bytes: int):
        self._uri, self._num_bytes = uri, num_bytes
        self._position = self._buffer_start = 0
        self._buffer = b""
        self._read_bytes = _READ_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        stop = min(self._position + len(buffer), self._num_bytes)
        if stop <= self._position:
            return 0
        offset = self._position - self._buffer_start
        if not 0 <= offset < len(self._buffer):
            self._fetch(stop)
            offset = 0
        data = self._buffer[offset : offset + stop - self._position]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _fetch(self, stop: int) -> None:
        start = self._position
        is_next = start == self._buffer_start + len(self._buffer)
        self._read_bytes = min(4 * self._read_bytes, MOST_READ_BYTES) if is_next else _READ_BYTES
        stop = min(max(start + self._read_bytes, stop), start + MOST_READ_BYTES, self._num_bytes)
        self._buffer = read_range(self._uri, start, stop)
        self._buffer_start = start
        if len(self._buffer) != stop - start:
            raise UserError(
                f"{self._uri} gave {len(self._buffer)} of {stop - start} bytes from byte {start}; "
                "it changed meanwhile, or was cut: run the same command again"
            )

    def seek(self, offset: int, whence: int = 0) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._num_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position


def put(local: str, uri: str, *, once: bool) -> None:
    """Puts a file of this machine into a store, whole or not at all, by one conditional put.

    Args:
        local: the file.
        uri: where it goes.
        once: nothing may be there but just that file, which another process, or an attempt
            whose answer was lost, has put there; `False` replaces what is there.

    Raises:
        FileExistsError: something else is there.
        UserError: it cannot be written.
    """
    system, path = file_system(uri)
    options = _UPLOADS.get(_extra(uri), {})
    mode = "create" if once else "overwrite"
    try:
        # An upload in parts is refused at its end alone, and by some servers never: look before.
        if once and os.path.getsize(local) >= whole_bytes(uri) and _is_file(uri):
            raise FileExistsError(uri)
        retried(uri, "written", lambda: system.put_file(local, path, mode=mode, **options))
    except FileNotFoundError as error:
        raise StoreError(f"{uri} cannot be written: there is no such bucket") from error
    except FileExistsError:
        if not _is_just(local, uri):
            raise FileExistsError(
                f"{uri} is there already, and is another file than the one to be put there; where "
                "nobody else writes, remove it, and run the same command again"
            ) from None


def whole_bytes(uri: str) -> int:
    """Returns the size of a file below which it goes up by one request."""
    return PART_BYTES * (2 if _extra(uri) == "s3" else 1)


def _extra(uri: str) -> str:
    return EXTRAS.get(uri.partition("://")[0], "")


def _is_file(uri: str) -> bool:
    """Whether there is a file, by one request: `status` asks for a directory, too."""
    try:
        read_range(uri, 0, 1)
    except FileNotFoundError:
        return False
    return True


def _is_just(local: str, uri: str) -> bool:
    found = status(uri)
    if found is None or found.num_bytes != os.path.getsize(local):
        return False
    with open(local, "rb") as own, open_read(uri) as theirs:
        while block := own.read(MOST_READ_BYTES):
            view = b""
            while len(view) < len(block):
                more = theirs.read(len(block) - len(view))
                if not more:
                    return False
                view += more
            if view != block:
                return False
    return True


def copy(source: str, target: str) -> None:
    """Copies a file within a store, over what is there.

    Raises:
        FileNotFoundError: there is none.
        UserError: it cannot be written.
    """
    system, path = file_system(source)
    _, target_path = file_system(target)
    retried(target, "written", lambda: system.cp_file(path, target_path))


def remove(uri: str) -> None:
    """Removes a file, if it is there.

    Raises:
        UserError: it cannot be removed.
    """
    system, path = file_system(uri)
    with contextlib.suppress(FileNotFoundError):
        retried(uri, "removed", lambda: system.rm_file(path))
