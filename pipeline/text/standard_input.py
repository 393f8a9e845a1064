"""Standard input, kept as a file: it comes only once, but is read twice, by several workers."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.text.pieces import STANDARD_INPUT

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd"}


@contextlib.contextmanager
def spooled(
    paths: Iterable[str | os.PathLike[str]], make_path: Callable[[], str]
) -> Iterator[tuple[list[str], str | None]]:
    """Copies standard input to a file for as long as the context lasts.

    Args:
        paths: the sources; `-` among them means standard input.
        make_path: returns the file, in a folder that is there; it is called where it is wanted.
            That folder and the one above it go with the file where they are empty then.

    Yields:
        The sources, and the file, or None where standard input is not wanted.

    Raises:
        UserError: standard input is compressed.
    """
    given = [os.fspath(path) for path in paths]
    if STANDARD_INPUT not in given:
        yield given, None
        return
    path = Path(make_path())
    try:
        with open(path, "wb") as file:
            start = sys.stdin.buffer.read(8)
            for magic, name in _COMPRESSED.items():
                if start.startswith(magic):
                    raise UserError(f"standard input is compressed with {name}; decompress it")
            file.write(start)
            shutil.copyfileobj(sys.stdin.buffer, file, 2**20)
        yield given, str(path)
    finally:
        path.unlink(missing_ok=True)
        for folder in list(path.parents)[:2]:
            if folder.is_dir() and not os.listdir(folder):
                folder.rmdir()
