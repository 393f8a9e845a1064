"""Files of this machine and, by URI, wherever TensorFlow's file system reaches (`gs://…`).

TensorFlow is imported for URIs alone.
"""

import concurrent.futures
import contextlib
import dataclasses
import errno
import functools
import glob
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from blake3 import blake3

from pipeline import remote
from pipeline.errors import UserError

BLOCK_BYTES = 64 * 1024  # with larger ones the allocator keeps more than it saves
# What the fsync of a directory says where there is none; the first two are PostgreSQL's list.
_UNSYNCED = (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_REQUESTS = 32  # to a store, under way at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileStatus:
    """What a path is.

    Attributes:
        is_directory: a directory, else a file to read.
        num_bytes: a file's size.
        modified: when it last changed, in nanoseconds.
        identity: equal for two paths to one file, links included.
    """

    is_directory: bool
    num_bytes: int
    modified: int
    identity: object


def is_uri(path: str) -> bool:
    """Whether a path is a URI such as `gs://bucket/file`."""
    return "://" in path


def file_status(path: str) -> FileStatus:
    """Looks up a path.

    Raises:
        UserError: there is nothing, something that is neither a file nor a directory, or
            something that may not be read.
    """
    if is_uri(path):
        is_directory, num_bytes, modified = remote.stat(path)
        return FileStatus(
            is_directory=is_directory, num_bytes=num_bytes, modified=modified, identity=path
        )
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise UserError(f"{path} is a symbolic link to a file that is not there") from error
        raise UserError(f"no such file or directory: {path}") from error
    except OSError as error:  # a loop of links, no permission, a file where a directory should be
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    is_directory = stat.S_ISDIR(found.st_mode)
    if not is_directory and not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is not a regular file; give a file or a directory")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path} cannot be read: no permission")
    return FileStatus(
        is_directory=is_directory,
        num_bytes=found.st_size,
        modified=found.st_mtime_ns,
        identity=identity_of(path, found),
    )


def identity_of(path: str, status: os.stat_result) -> object:
    """Returns what is equal for two paths to one file, hard links included where they are told.

    Some file systems (of FUSE, of WSL 1, of Windows shares) give all files the inode 0, which says
    nothing: then it is the path without links.
    """
    if status.st_ino == 0:
        return status.st_dev, os.path.realpath(path)
    return status.st_dev, status.st_ino


def is_same_file(path: str, other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file or directory; both are there."""
    paths = path, os.fspath(other)
    first, second = (identity_of(each, os.stat(each)) for each in paths)
    return first == second


def file_statuses(paths: Sequence[str]) -> list[FileStatus]:
    """Looks up paths, many at once where they are URIs.

    Raises:
        UserError: see `file_status`.
    """
    if not any(map(is_uri, paths)):
        return list(map(file_status, paths))
    with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(file_status, paths))


def files_matching(pattern: str) -> list[str]:
    """Lists what a pattern matches, sorted; links, directories and all.

    Args:
        pattern: a path or URI with `*`, `?` and `[…]`, and, in a path, `**` for any folders.
    """
    return sorted(
        remote.gfile().glob(pattern) if is_uri(pattern) else glob.glob(pattern, recursive=True)
    )


def open_file(path: str) -> BinaryIO:
    """Opens a file for reading, unbuffered.

    Raises:
        OSError: it cannot be opened.
        UserError: the same, of a URI; or it is no regular file, which could block for ever.
    """
    if is_uri(path):
        return remote.open_read(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UserError(f"{path} is not a regular file")
    return cast(BinaryIO, open(path, "rb", buffering=0))


def read_first(path: str, num_bytes: int) -> bytes:
    """Returns the first bytes of a file, which is known to be a regular one.

    Raises:
        OSError: it cannot be read.
        UserError: the same, of a URI.
    """
    if is_uri(path):
        with remote.open_read(path) as remote_file:
            return remote_file.read(num_bytes)
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # half the price of `open`
    try:
        return os.read(file, num_bytes)
    finally:
        os.close(file)


def exists(path: str) -> bool:
    """Whether there is a file or a directory."""
    return bool(remote.gfile().exists(path)) if is_uri(path) else os.path.exists(path)


def join(directory: str | os.PathLike[str], name: str) -> str:
    """The path of a file in a directory; `pathlib` would take a slash from a URI."""
    return os.fspath(directory).rstrip("/") + "/" + name


def make_directory(path: str) -> None:
    """Makes a directory and those above it, where they are missing.

    Raises:
        OSError: it cannot be made, or not be written into.
        UserError: the same, of a URI.
    """
    if is_uri(path):
        import tensorflow as tf

        try:
            tf.io.gfile.makedirs(path)
        except tf.errors.OpError as error:
            raise UserError(f"{path} cannot be written: {error.message}") from error
        return
    os.makedirs(path, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission", path)


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Reads a file.

    Raises:
        OSError: it cannot be read, FileNotFoundError where it is not there.
        UserError: the same, of a URI; but FileNotFoundError is as above.
    """
    path = os.fspath(path)
    if is_uri(path) and not exists(path):
        raise FileNotFoundError(f"no such file: {path}")
    with open_file(path) as file, os_errors_name(path):
        return b"".join(iter(functools.partial(file.read, BLOCK_BYTES), b""))


def read_text(path: str | os.PathLike[str]) -> str:
    """Reads a file of UTF-8.

    Raises:
        OSError: it cannot be read, FileNotFoundError where it is not there.
        UserError: the same, of a URI; but FileNotFoundError is as above.
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
def whole_file(
    path: str | os.PathLike[str],
    *,
    temporary: str | os.PathLike[str] | None = None,
    synced: bool = True,
) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears whole or not at all, over one that is there.

    Where anything is raised meanwhile, what was written goes.

    Args:
        path: the file.
        temporary: where it lies meanwhile, in the same file system; `None`: beside it. The file
            that is yielded has it as its `name`.
        synced: it is on the disk before it has its name, so that it is whole even if the power
            fails; takes milliseconds.

    Raises:
        OSError: it cannot be written.
        UserError: the same, of a URI.
    """
    path = os.fspath(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.incomplete") if temporary is None else temporary
    if is_uri(path):
        content = io.BytesIO()
        yield content
        remote.write(path, os.fspath(temporary), content.getvalue())
        return
    try:
        with os_errors_name(path), open(temporary, "wb", buffering=2**20) as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def os_errors_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Adds the path to errors of the system that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a file of UTF-8 by `whole_file`."""
    with whole_file(path) as file:
        file.write(text.encode())


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Puts the names of a directory's files on the disk, as `whole_file` does their content.

    File systems that know no such thing (CIFS, shared folders of VirtualBox, some of FUSE) put
    them there in their own way.

    Raises:
        OSError: they cannot be put there; it names the directory.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        with os_errors_name(path):
            os.fsync(folder)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
    finally:
        os.close(folder)


def digest(path: str | os.PathLike[str]) -> str:
    """Returns the BLAKE3 of a file, in hex.

    Raises:
        OSError: it cannot be read.
        UserError: the same, of a URI.
    """
    with open_file(os.fspath(path)) as file:
        return hashlib.file_digest(cast(Any, file), cast(Any, blake3)).hexdigest()


def read_blocks(path: str, start: int, stop: int) -> Iterator[bytes]:
    """Yields the bytes `start … stop - 1` of a file in blocks of at most `BLOCK_BYTES`.

    Raises:
        UserError: the file ends before `stop`.
    """
    with open_file(path) as file, os_errors_name(path):
        file.seek(start)
        while start < stop:
            block = file.read(min(BLOCK_BYTES, stop - start))
            if not block:
                raise UserError(
                    f"{path} ends at byte {start}, but had {stop} bytes when the work was "
                    "planned; it changed meanwhile: run the same command again"
                )
            start += len(block)
            yield block
