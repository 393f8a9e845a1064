"""Streams, kept as files: they come only once, but are read twice, by several workers."""

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import UserError
from pipeline.files import identity_of, os_errors_name
from pipeline.text.pieces import STANDARD_INPUT, Stream


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether a path can be read only once: `-`, standard input, or a pipe, such as `<(cmd)`."""
    if os.fspath(path) == STANDARD_INPUT:
        return True
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def spooled(
    paths: Iterable[str | os.PathLike[str]], make_path: Callable[[str], str]
) -> Iterator[list[str | Stream]]:
    """Copies streams to files for as long as the context lasts.

    The second pipe that is given is called `pipe:2`, for its path is another each time.

    Args:
        paths: the sources.
        make_path: a name -> the file, in a folder that is there; it is called where a stream is
            given. That folder and the one above it go with the file where they are empty then.

    Yields:
        The sources, with what was kept in the place of each stream.

    Raises:
        UserError: a stream is given twice.
    """
    given: list[str | Stream] = [os.fspath(path) for path in paths]
    num_pipes = 0
    kept: list[Path] = []
    seen: dict[object, str] = {}
    try:
        for index, path in enumerate(given):
            assert isinstance(path, str)
            if not is_stream(path):
                continue
            _refuse_twice(seen, path)
            name, shown = STANDARD_INPUT, "standard input"
            if path != STANDARD_INPUT:
                num_pipes += 1
                name, shown = f"pipe:{num_pipes}", f"the pipe {path}"
            kept.append(Path(make_path(f"stream_{index}")))
            with os_errors_name(kept[-1]), open(kept[-1], "wb") as copy, _opened(path) as stream:
                while block := _read(stream, shown):
                    copy.write(block)
            given[index] = Stream(path=str(kept[-1]), name=name, shown=shown)
        yield given
    finally:
        for file in kept:
            file.unlink(missing_ok=True)
        for folder in list(kept[0].parents)[:2] if kept else []:
            if folder.is_dir() and not os.listdir(folder):
                folder.rmdir()


def _refuse_twice(seen: dict[object, str], path: str) -> None:
    status = None if path == STANDARD_INPUT else os.stat(path)
    identity = status and identity_of(path, status)
    if identity in seen:
        raise UserError(f"the same stream twice: {seen[identity]} and {path}; it comes only once")
    seen[identity] = path


def _read(stream: BinaryIO, shown: str) -> bytes:
    """Reads on.

    Raises:
        UserError: it cannot be read, such as a directory.
    """
    try:
        return stream.read(2**20)
    except OSError as error:
        raise UserError(f"{shown} cannot be read: {error.strerror}") from error


def _opened(path: str) -> contextlib.AbstractContextManager[BinaryIO]:
    if path == STANDARD_INPUT:
        return contextlib.nullcontext(sys.stdin.buffer)
    return open(path, "rb")
