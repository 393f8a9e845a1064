"""Locks of directories: held by one process at a time, and released when it ends, however.

A lock is a file with the name of its holder in it, locked by POSIX `lockf`.
"""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

THIS_PROCESS = "this process"
_held: set[str] = set()  # by this process


class NoLocksError(OSError):
    """An error of a file system that has no locks."""


@contextlib.contextmanager
def held(path: Path, *, busy: Callable[[str], str]) -> Iterator[None]:
    """Holds a lock; made with the directory that it lies in, where they are missing.

    The file stays: what else is done with it, such as removing it, is done by the holder, before
    the context ends.

    Args:
        path: the file.
        busy: holder -> the message where the lock is taken; the holder is `THIS_PROCESS`,
            or `process 7 on HOST`, or `another process`.

    Raises:
        UserError: another process holds it, or this one.
        NoLocksError: the file system has no locks.
        OSError: the file cannot be made.
    """
    place = os.path.realpath(path)
    if place in _held:  # the locks of a file system do not tell threads apart
        raise UserError(busy(THIS_PROCESS))
    file = _hold(path, busy)
    _held.add(place)
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
    finally:
        file.close()
        _held.remove(place)


def _hold(path: Path, busy: Callable[[str], str]) -> Any:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        except FileNotFoundError:
            continue  # its last holder has just removed the folder
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "another process"
            file.close()
            raise UserError(busy(holder)) from None
        except OSError as error:
            file.close()
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise
            raise NoLocksError(error.errno, error.strerror, str(path)) from error
        try:
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        file.close()  # the lock of a file that its last holder has removed
