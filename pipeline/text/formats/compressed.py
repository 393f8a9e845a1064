"""Compressed files, `.gz .bz2 .xz .lzma .zst`: told by their first bytes; their text, streamed."""

import contextlib
import io
import os
import re
from collections.abc import Iterator

from pipeline.errors import UserError, unsaid
from pipeline.files import BLOCK_BYTES, open_file, os_errors_name, read_blocks
from pipeline.text.formats.decompression import DecompressedFile, DecompressionError, zstd_module
from pipeline.text.pieces import Blocks, Candidate, Piece

_SUFFIXES = {
    ".gz": ".gz",
    ".gzip": ".gz",
    ".bz2": ".bz2",
    ".bz": ".bz2",
    ".xz": ".xz",
    ".lzma": ".lzma",
    ".zst": ".zst",
    ".zstd": ".zst",
}
# What each begins with, so long that no text begins so: "BZh9" alone could be a word.
_FIRST_BYTES = {
    ".gz": re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"),
    ".bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    ".xz": re.compile(rb"\xfd7zXZ\x00"),
    ".lzma": re.compile(rb"\]\x00\x00.{2}(\xff{8}|.{5}\x00{3})", re.DOTALL),
    ".zst": re.compile(rb"\(\xb5/\xfd"),
}
# Where the name tells the compression, these will do.
_EXPECTED_BYTES = {
    ".lzma": re.compile(rb"[\x00-\xe0].{4}(\xff{8}|.{5}\x00{3})", re.DOTALL),
    ".zst": re.compile(rb"[\x50-\x5f]\*M\x18"),  # a frame that holds no text
}


def split_suffix(name: str) -> tuple[str, str]:
    """Returns a name without the suffix that says how it is compressed, and the compression.

    The compression is `.gz`, `.bz2`, `.xz`, `.lzma`, `.zst` or nothing.
    """
    stem, suffix = os.path.splitext(name)
    compression = _SUFFIXES.get(suffix.lower(), "")
    return (stem, compression) if compression else (name, "")


def compression_of(name: str) -> str:
    """Returns the compression that the suffix of a name tells, or nothing."""
    return split_suffix(name)[1]


def compression_told(head: bytes, expected: str = "") -> str:
    """Returns the compression that the first bytes of a file tell, or nothing.

    Args:
        head: at least 16 bytes, where the file has them.
        expected: the compression that its name tells.
    """
    for compression, first_bytes in _FIRST_BYTES.items():
        if first_bytes.match(head):
            return compression
    if expected in _EXPECTED_BYTES and _EXPECTED_BYTES[expected].match(head):
        return expected
    return ""


def check_compression(path: str, compression: str) -> None:
    """Finds out at once whether this machine can read a compression.

    Raises:
        UserError: a package is missing.
    """
    if compression == ".zst":
        zstd_module(path)


def read_beginning(candidate: Candidate) -> tuple[bytes, bool]:
    """Returns the beginning of a file's text, a block of it, and whether that is all.

    Raises:
        UserError: a compressed file is cut off or damaged there.
    """
    stop = min(BLOCK_BYTES, candidate.source_bytes)
    blocks = iter(text_blocks(candidate.path, candidate.compression, 0, stop))
    with unsaid():
        beginning, _ = next(blocks, (b"", 0))
    return beginning, len(beginning) < BLOCK_BYTES


def head_of(head: bytes, compression: str, num_bytes: int) -> bytes:
    """Returns the first bytes of a text, from those of its file; nothing where they are too few.

    Args:
        head: of the file.
        compression: how it is compressed, or nothing.
        num_bytes: most bytes to return.
    """
    if not compression:
        return head[:num_bytes]
    with contextlib.suppress(EOFError, DecompressionError, UserError), unsaid():
        return DecompressedFile(io.BytesIO(head), "", compression).read(num_bytes)
    return b""


def blocks_of(piece: Piece) -> Blocks:
    """Yields blocks of the text of a piece that is counted in bytes; see `text_blocks`."""
    source = piece.source
    if source.format.compression:
        return read_compressed(source.path, source.format.compression, shown=source.shown)
    return text_blocks(source.path, "", piece.start, piece.stop)


def text_blocks(path: str, compression: str, start: int, stop: int) -> Blocks:
    """Yields blocks of the text of a file, and how many bytes of the file each took.

    Args:
        path: the file.
        compression: `.gz`, `.bz2`, `.xz`, `.lzma`, `.zst` or nothing. A compressed file is read
            from its beginning.
        start: the first byte.
        stop: the byte after the last.
    """
    if compression:
        return read_compressed(path, compression)
    return ((block, len(block)) for block in read_blocks(path, start, stop))


def read_compressed(
    path: str, compression: str, *, shown: str | None = None
) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of the text, and the compressed bytes read for each.

    Warns (`TextWarning`) of what follows the last member of a `.gz` and is no member.

    Args:
        path: the file.
        compression: how it is compressed.
        shown: how people name it, where that is not its path.

    Raises:
        UserError: the file is truncated or damaged, or a package is missing.
    """
    shown = path if shown is None else shown
    num_bytes = done = 0
    with open_file(path) as file, os_errors_name(path):
        text = DecompressedFile(file, shown, compression)
        while True:
            try:
                block = text.read(BLOCK_BYTES)
            except (EOFError, DecompressionError) as error:
                problem = "is cut off" if isinstance(error, EOFError) else "is damaged"
                raise UserError(
                    f"{shown} {problem}: after {num_bytes + text.num_held} bytes of text: {error}; "
                    "make the file again, or leave it out with `--glob`"
                ) from error
            if not block:
                return
            num_bytes += len(block)
            position = file.tell()
            yield block, position - done
            done = position
