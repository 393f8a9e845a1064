"""Locks of directories: held by one process at a time, and released when it ends, however.

A lock is a file with the name of its holder in it, locked by POSIX `lockf`.
"""

import contextlib
import errno
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import os_errors_name

THIS_PROCESS = "this process"
LOCK = "lock"
# POSIX has EINVAL for files that cannot be locked, Linux ENOLCK for NFS without its lock daemon.
_NO_LOCKS = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_held: set[str] = set()  # by this process
_looking = threading.Lock()  # for a look at `_held` and what follows from it


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
    with _looking:  # the locks of a file system do not tell threads apart
        if place in _held:
            raise UserError(busy(THIS_PROCESS))
        _held.add(place)
    try:
        file = _hold(path, busy)
        try:
            with os_errors_name(path):
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
            yield
        finally:
            with contextlib.suppress(OSError):  # of the name, on a full disk
                file.close()
    finally:
        _held.remove(place)


@contextlib.contextmanager
def held_folder(directory: Path, name: str, *, doing: str) -> Iterator[None]:
    """Holds a directory by a folder in it, for the files of what is under way there.

    Files in the folder that an earlier holder did not finish (`*.incomplete`) are removed. Where
    nothing was made meanwhile, nothing is left: neither the folder nor a new directory.

    Args:
        directory: what is made; itself made where it is missing.
        name: of the folder.
        doing: what is done to the directory, such as `prepared`, for messages.

    Raises:
        UserError: another process holds it, which it names; or the file system has no locks.
        OSError: the folder cannot be made.
    """
    folder, is_new = directory / name, not directory.exists()

    def busy(holder: str) -> str:
        remedy = "wait for it"
        if holder != THIS_PROCESS:
            remedy += ", or end it: the same command then goes on where it was"
        return f"{directory} is being {doing} by {holder}; {remedy}"

    try:
        with held(folder / LOCK, busy=busy):
            try:
                for leftover in folder.glob("*.incomplete"):
                    leftover.unlink()
                yield
            finally:
                with contextlib.suppress(OSError):
                    if os.listdir(folder) == [LOCK]:
                        (folder / LOCK).unlink()
                        folder.rmdir()
                        if is_new:
                            directory.rmdir()
    except NoLocksError as error:
        raise UserError(
            f"{folder}: the file system has no locks ({error.strerror}), so two processes could "
            "spoil each other's files; give an `--output` on another file system"
        ) from error


def _hold(path: Path, busy: Callable[[str], str]) -> Any:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        except FileNotFoundError:
            continue  # its last holder has just removed the folder
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # POSIX allows both
            file.seek(0)
            holder = file.read() or "another process"
            file.close()
            raise UserError(busy(holder)) from None
        except OSError as error:
            file.close()
            if error.errno not in _NO_LOCKS:
                error.filename = str(path)
                raise
            raise NoLocksError(error.errno, error.strerror, str(path)) from error
        try:
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:
            pass
        file.close()  # the lock of a file that its last holder has removed
