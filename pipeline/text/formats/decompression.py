"""Decompression of a file of streams, one after the other, without a gap in the text.

Parallel compressors and `cat` make files of several streams (members of `.gz`, frames of `.zst`).
What lies between two, or after the last:

| | taken | else |
|---|---|---|
| `.gz` | zeros; after the last member anything, with a warning, as `gunzip` does | |
| `.xz` | zeros, a multiple of four | an error |
| `.zst` | frames that hold no text | an error |
| `.bz2`, `.lzma` | nothing | an error |

`bz2.BZ2File` and `lzma.LZMAFile` end without a word at what follows a stream and is none.
"""

import bz2
import lzma
import re
import sys
import warnings
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from pipeline.errors import TextWarning, UserError
from pipeline.files import BLOCK_BYTES

_MAX_WINDOW_LOG = 31  # of .zst, what `--long=31` makes; a frame takes the memory that it asks for
# How a stream begins that follows another.
_NEXT = {
    ".gz": (b"\x1f\x8b",),
    ".bz2": (b"BZh",),
    ".xz": (b"\xfd7zXZ\0",),
    ".zst": (b"(\xb5/\xfd", *(bytes([first]) + b"*M\x18" for first in range(0x50, 0x60))),
    ".lzma": (),
}
_NEXT_BYTES = 6
# The method and the flags that are; isal takes others as well. What is cut off is no matter here.
_GZIP_HEADER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]|.{0,3}\Z", re.DOTALL)


class DecompressionError(Exception):
    """What is wrong with compressed data; part of a sentence."""


class DecompressedFile:
    """The text of a compressed file.

    Attributes:
        num_held: bytes of text that the last call read, perhaps before an error.
    """

    def __init__(self, file: BinaryIO, shown: str, compression: str):
        self._file, self._shown, self._compression = file, shown, compression
        self._begin, self._errors = _decompressor(shown, compression)
        self.num_held = 0
        self._read = b""  # of the file, but not decompressed yet
        self._stream: Any = None
        self._is_begun = False

    def read(self, num_bytes: int) -> bytes:
        """Returns the next bytes of text: as many as asked for, fewer at the end of the file.

        Raises:
            EOFError: the file ends in the midst of a stream.
            DecompressionError: it is damaged.
        """
        texts: list[bytes] = []
        self.num_held = 0
        if not self._is_begun:
            self._is_begun = True
            self._fill()
            self._begin_stream()
        while self.num_held < num_bytes and self._stream is not None:
            if self._stream.eof:
                self._next_stream()
                continue
            data = b""
            if self._stream.needs_input:
                if not self._read and not self._fill():
                    raise EOFError("the file ends in the midst of a stream")
                data, self._read = self._read, b""
            try:
                texts.append(self._stream.decompress(data, num_bytes - self.num_held))
            except self._errors as error:
                raise DecompressionError(error) from error
            self.num_held += len(texts[-1])
            if self._stream.eof:
                self._read = self._stream.unused_data
        return texts[0] if len(texts) == 1 else b"".join(texts)

    def _next_stream(self) -> None:
        """Begins the stream that follows; none at the end of the file."""
        self._stream = None
        end = self._position
        if self._compression in (".gz", ".xz"):
            self._skip_zeros()
            if self._compression == ".xz" and (self._position - end) % 4:
                raise DecompressionError(
                    f"{self._position - end} zeros follow the stream that ends at byte {end} of "
                    "the file, no multiple of four"
                )
        while len(self._read) < _NEXT_BYTES and self._fill():
            pass
        if not self._read:
            return
        # At the end of the file, the beginning of one will do: it is cut off.
        if any(each.startswith(self._read[: len(each)]) for each in _NEXT[self._compression]):
            self._begin_stream()
            return
        what = (
            f"what stands at byte {self._position} of the file, after the {self._compression} "
            f"stream that ends at byte {end}, is no other"
        )
        if self._compression != ".gz":
            raise DecompressionError(what)
        warnings.warn(
            f"{self._shown}: {what}, and was left out, as gunzip does; if text is missing, make "
            "the file again",
            TextWarning,
            stacklevel=2,
        )

    def _begin_stream(self) -> None:
        if self._compression == ".gz" and not _GZIP_HEADER.match(self._read):
            raise DecompressionError(
                f"the header of the member at byte {self._position} of the file is of no kind that "
                "is known"
            )
        self._stream = self._begin()

    @property
    def _position(self) -> int:
        """The first byte of the file that is not decompressed."""
        return self._file.tell() - len(self._read)

    def _skip_zeros(self) -> None:
        while self._read or self._fill():
            self._read = self._read.lstrip(b"\0")
            if self._read:
                return

    def _fill(self) -> bool:
        data = self._file.read(BLOCK_BYTES)
        self._read += data
        return bool(data)


class _GzipDecompressor:
    """A member of a `.gz` by the standard library, as `bz2.BZ2Decompressor` is a stream."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        text = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        # Where it is full there may be more, though all input is consumed.
        self.needs_input = not self._stream.unconsumed_tail and len(text) < max_length
        return text


def zstd_module(path: str) -> Any:
    """Returns the module that reads `.zst`.

    Raises:
        UserError: it is not installed.
    """
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


def _decompressor(
    path: str, compression: str
) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """Returns what makes the decompressor of one stream, and what that raises of damage."""
    if compression == ".bz2":
        return bz2.BZ2Decompressor, (OSError, ValueError)
    if compression in (".xz", ".lzma"):
        container = lzma.FORMAT_XZ if compression == ".xz" else lzma.FORMAT_ALONE
        return lambda: lzma.LZMADecompressor(container), (lzma.LZMAError,)
    if compression == ".zst":
        # Not `zstandard`, whose streams end without an error where a file is cut off.
        zstd = zstd_module(path)
        options = {zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG}
        return lambda: zstd.ZstdDecompressor(options=options), (zstd.ZstdError,)
    try:
        from isal import igzip_lib  # three times faster
    except ImportError:
        return _GzipDecompressor, (zlib.error,)
    damage: Any = igzip_lib.IsalError
    return lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (damage,)
