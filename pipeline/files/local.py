"""Files of this machine: what tells one from another, and what puts names on the disk."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator

from pipeline.errors import UserError
from pipeline.files.paths import is_in_store, local_path
from pipeline.files.status import FileStatus

# What the fsync of a directory says where there is none; the first two are PostgreSQL's list.
_UNSYNCED = (errno.EBADF, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def identity_of(path: str, status: os.stat_result) -> object:
    """Returns what is equal for two paths to one file, hard links included where they are told.

    Some file systems (of FUSE, of WSL 1, of Windows shares) give all files the inode 0, which says
    nothing: then it is the path without links. Others (network file systems of 64 bits under
    programs of 32) give some files one inode: files of other sizes or times are others.
    """
    if status.st_ino == 0:
        return status.st_dev, os.path.realpath(path)
    if not stat.S_ISREG(status.st_mode):
        return status.st_dev, status.st_ino
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def is_same_file(path: str, other: str | os.PathLike[str]) -> bool:
    """Whether two paths lead to one file or directory; both are there."""
    paths = path, os.fspath(other)
    first, second = (identity_of(each, os.stat(each)) for each in paths)
    return first == second


@contextlib.contextmanager
def os_errors_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Adds the path to errors of the system that name none, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, os.fspath(path)) from error


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Puts the names of a directory's files on the disk, as `whole_file` does their content.

    File systems that know no such thing (CIFS, shared folders of VirtualBox, some of FUSE) put
    them there in their own way. A store has no such names.

    Raises:
        OSError: they cannot be put there; it names the directory.
    """
    if is_in_store(path):
        return
    folder = os.open(local_path(os.fspath(path)), os.O_RDONLY)
    try:
        with os_errors_name(path):
            os.fsync(folder)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
    finally:
        os.close(folder)


def local_status(path: str) -> FileStatus:
    """Looks up a path of this machine.

    Raises:
        UserError: there is nothing, something that is neither a file nor a directory, or
            something that may not be read.
    """
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
