"""Compressed files, `.gz .bz2 .xz .zst`: their text, streamed."""

import bz2
import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES, open_file, read_blocks
from pipeline.text.pieces import Blocks

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")


def compression_of(name: str) -> str:
    """Returns the suffix that says how a file is compressed, or nothing."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix if suffix in SUFFIXES else ""


def check_compression(path: str, suffix: str) -> None:
    """Finds out at once whether this machine can read a compression.

    Raises:
        UserError: a package is missing.
    """
    if suffix == ".zst":
        _zstd(path)


def text_blocks(path: str, compression: str, start: int, stop: int) -> Blocks:
    """Yields blocks of the text of a file, and how many bytes of the file each took.

    Args:
        path: the file.
        compression: its suffix, or nothing. A compressed file is read from its beginning.
        start: the first byte.
        stop: the byte after the last.
    """
    if compression:
        return read_compressed(path, compression)
    return ((block, len(block)) for block in read_blocks(path, start, stop))


def read_compressed(path: str, suffix: str) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of the text, and the compressed bytes read for each.

    Raises:
        UserError: the file is truncated or damaged, or a package is missing.
    """
    num_bytes = done = 0
    with open_file(path) as file:
        stream, errors = _open(file, path, suffix)
        while True:
            try:
                block = stream.read(BLOCK_BYTES)
            except errors as error:
                problem = "is cut off" if isinstance(error, EOFError) else "is damaged"
                raise UserError(
                    f"{path} {problem}: after {num_bytes} bytes of text: {error}; make the file "
                    "again, or leave it out with `--glob`"
                ) from error
            if not block:
                return
            num_bytes += len(block)
            position = file.tell()
            yield block, position - done
            done = position


def _open(file: BinaryIO, path: str, suffix: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """Returns the text's stream, and what it raises where the file is not as it should be."""
    if suffix == ".bz2":
        return bz2.BZ2File(file), (EOFError, OSError)
    if suffix == ".xz":
        return lzma.LZMAFile(file), (EOFError, lzma.LZMAError)
    if suffix == ".zst":
        # Not `zstandard`, whose streams end without an error where a file is cut off.
        zstd = _zstd(path)
        return zstd.ZstdFile(file), (EOFError, zstd.ZstdError)
    try:
        from isal import igzip, igzip_lib  # three times faster
    except ImportError:
        return gzip.GzipFile(fileobj=file), (EOFError, OSError, zlib.error)
    damaged: Any = igzip_lib.IsalError  # no error of the above
    return igzip.IGzipFile(fileobj=file), (EOFError, OSError, damaged)


def _zstd(path: str) -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise UserError(
            f"{path}: reading .zst needs a package: pip install 'textreel[formats]'"
        ) from error
    return zstd
