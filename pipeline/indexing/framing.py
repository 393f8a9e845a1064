"""Framing of a TFRecord file: where its records begin, found without reading what is in them.

    uint64 length | uint32 masked crc of length | content | uint32 masked crc of content

A length leads to the next one, so a file is walked from its first record on. Small records are
walked in blocks that are read one after the other; of large ones only the lengths are read.
"""

import dataclasses
import functools
import io
import shlex
import struct
from collections.abc import Callable, Iterator
from typing import cast

import google_crc32c
import numpy as np

from pipeline.errors import UserError
from pipeline.files import is_uri, open_file
from pipeline.layout.records import masked_crc

HEADER_BYTES, FOOTER_BYTES = 12, 4
FRAMING_BYTES = HEADER_BYTES + FOOTER_BYTES
BLOCK_BYTES = 2**20
# A record this large is skipped: a seek takes as long as reading so much.
_SKIPPED_BYTES, _SKIPPED_BYTES_OF_URI = 2**18, 2**23
_REPORTED_BYTES = 2**24  # from one call of `advance` to the next
_unpack_length = struct.Struct("<Q").unpack_from


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileToWalk:
    """A file, and what is looked at.

    Attributes:
        path: of the file.
        num_bytes: its size.
        check: whether the checksums of the contents are compared, too, for which all is read.
        block_bytes: how much is read at once.
        skipped_bytes: of records whose mean is as large, headers are read alone; `None` chooses.
    """

    path: str
    num_bytes: int
    check: bool = False
    block_bytes: int = BLOCK_BYTES
    skipped_bytes: int | None = None


def record_offsets(walked: FileToWalk, advance: Callable[[int], None]) -> Iterator[np.ndarray]:
    """Yields where the records of a file begin, `[n]` uint64 at a time; of 0 bytes: none.

    Args:
        walked: the file.
        advance: is told how many more bytes of the file are done.

    Raises:
        UserError: the file is no TFRecord file, or compressed; it ends inside a record; a checksum
            is wrong. It names the file, the record and the byte where that begins.
        OSError: the file cannot be read.
    """
    walk = _Walk(walked)
    reported = 0
    with cast(io.RawIOBase, open_file(walked.path)) as file:
        while walk.offset < walked.num_bytes:
            yield walk.step(file)
            if walk.offset - reported >= _REPORTED_BYTES:
                advance(walk.offset - reported)
                reported = walk.offset
    advance(walked.num_bytes - reported)


class _Walk:
    """How far a file is walked.

    Attributes:
        offset: where the next record begins.
        number: how many begin before it.
    """

    def __init__(self, walked: FileToWalk):
        self.offset = self.number = 0
        self._path, self._num_bytes = walked.path, walked.num_bytes
        self._check = walked.check
        self._buffer = bytearray(max(walked.block_bytes, FRAMING_BYTES))
        skipped = _SKIPPED_BYTES_OF_URI if is_uri(walked.path) else _SKIPPED_BYTES
        self._skipped_bytes = skipped if walked.skipped_bytes is None else walked.skipped_bytes
        self._wanted = len(self._buffer)

    def step(self, file: io.RawIOBase) -> np.ndarray:
        """Walks the records that begin in the next block, and returns where they do."""
        num_read = self._read(file)
        starts, end = self._starts(num_read)
        if not starts:
            raise self._problem(0, self.offset, _cut_off("at least 12", num_read))
        found = np.array(starts, np.int64)
        self._check_lengths(found)
        if self.offset + end > self._num_bytes:
            where = self.offset + starts[-1]
            needed, left = end - starts[-1], self._num_bytes - where
            raise self._problem(len(starts) - 1, where, _cut_off(needed, left))
        if self._check:
            found, end = self._check_contents(file, found, end, num_read)
        is_large = end // len(found) >= self._skipped_bytes
        self._wanted = HEADER_BYTES if is_large else len(self._buffer)
        offsets = found.astype(np.uint64) + np.uint64(self.offset)
        self.offset += end
        self.number += len(found)
        return offsets

    def _read(self, file: io.RawIOBase) -> int:
        """Fills the buffer from the next record on, and returns how many bytes are in it."""
        file.seek(self.offset)
        wanted = min(self._wanted, self._num_bytes - self.offset)
        view, num_read = memoryview(self._buffer), 0
        while num_read < wanted:
            num = file.readinto(view[num_read:wanted])
            if not num:
                raise UserError(
                    f"{self._path} ends at byte {self.offset + num_read}, but had "
                    f"{self._num_bytes} bytes before: it changed while it was read"
                )
            num_read += num
        return num_read

    def _starts(self, num_read: int) -> tuple[list[int], int]:
        """Where records begin in the buffer whose lengths are in it, and where the last ends."""
        buffer, unpack_length = self._buffer, _unpack_length
        starts: list[int] = []
        append, position, last = starts.append, 0, num_read - HEADER_BYTES
        while position <= last:  # the loop that decides on the speed
            append(position)
            position += unpack_length(buffer, position)[0] + FRAMING_BYTES
        return starts, position

    def _check_lengths(self, starts: np.ndarray) -> None:
        """Compares the checksums of all lengths at once."""
        data = np.frombuffer(self._buffer, np.uint8)
        headers = data[starts[:, None] + np.arange(HEADER_BYTES)]
        crcs = headers[:, 8:].copy().view("<u4")[:, 0]
        wrong = np.flatnonzero(crcs != length_crcs(headers[:, :8]))
        if len(wrong):
            index = int(wrong[0])
            where = self.offset + int(starts[index])
            if where == 0:
                raise UserError(_no_tfrecord(self._path, headers[0].tobytes()))
            raise self._problem(
                index,
                where,
                "the checksum of its length is wrong; the file is damaged from there on: copy or "
                "write it again, or leave it out",
            )

    def _check_contents(
        self, file: io.RawIOBase, starts: np.ndarray, end: int, num_read: int
    ) -> tuple[np.ndarray, int]:
        """Compares the checksums of the contents.

        Returns:
            The records that were checked, and where the last of them ends: a last one that is only
            partly in the buffer is left for the next one, unless it is larger than a buffer.
        """
        if end > num_read:
            if len(starts) == 1:
                self._check_large(file, end, num_read)
                return starts, end
            starts, end = starts[:-1], int(starts[-1])
        ends = np.append(starts[1:], end)
        data, value = bytes(memoryview(self._buffer)[:end]), google_crc32c.value
        pairs = zip((starts + HEADER_BYTES).tolist(), (ends - FOOTER_BYTES).tolist(), strict=True)
        crcs = np.array([value(data[start:stop]) for start, stop in pairs], np.uint32)
        footers = np.frombuffer(data, np.uint8)[ends[:, None] - np.arange(FOOTER_BYTES, 0, -1)]
        wrong = np.flatnonzero(footers.copy().view("<u4")[:, 0] != masked_crc(crcs))
        if len(wrong):
            raise self._bad_content(int(wrong[0]), int(starts[wrong[0]]))
        return starts, end

    def _check_large(self, file: io.RawIOBase, end: int, num_read: int) -> None:
        """Compares the checksum of a record that begins in the buffer and ends outside it."""
        stop = min(num_read, end - FOOTER_BYTES)
        crc = google_crc32c.value(bytes(self._buffer[HEADER_BYTES:stop]))
        left = end - FOOTER_BYTES - stop
        file.seek(self.offset + stop)
        while left:
            part = self._read_some(file, min(left, len(self._buffer)))
            crc = google_crc32c.extend(crc, part)
            left -= len(part)
        footer = b""
        while len(footer) < FOOTER_BYTES:
            footer += self._read_some(file, FOOTER_BYTES - len(footer))
        if int.from_bytes(footer, "little") != masked_crc(crc):
            raise self._bad_content(0, 0)

    def _read_some(self, file: io.RawIOBase, num_bytes: int) -> bytes:
        part = file.read(num_bytes)
        if not part:
            raise UserError(f"{self._path} changed while it was read")
        return part

    def _bad_content(self, index: int, start: int) -> UserError:
        return self._problem(
            index,
            self.offset + start,
            "the checksum of its content is wrong; the file is damaged there: copy or write it "
            "again, or leave it out",
        )

    def _problem(self, index: int, where: int, text: str) -> UserError:
        return UserError(f"{self._path}: record {self.number + index} at byte {where}: {text}")


def length_crcs(lengths: np.ndarray) -> np.ndarray:
    """The masked CRC-32C of each of `[n, 8]` bytes, `[n]` uint32.

    A CRC of as many bytes is an affine function of their bits, so it is the exclusive or of eight
    values of a table, one for each byte.
    """
    crcs = np.full(len(lengths), google_crc32c.value(bytes(8)), np.uint32)
    for place, table in enumerate(_crc_tables()):
        crcs ^= table[lengths[:, place]]
    return cast(np.ndarray, masked_crc(crcs))


@functools.cache
def _crc_tables() -> np.ndarray:
    """What a byte changes in the checksum of eight zeros, `[8, 256]` uint32, by its place."""
    value = google_crc32c.value
    rows = [
        [value(bytes(place) + bytes([byte]) + bytes(7 - place)) for byte in range(256)]
        for place in range(8)
    ]
    return np.array(rows, np.uint32) ^ np.uint32(value(bytes(8)))


def _cut_off(needed: object, left: int) -> str:
    return (
        f"it takes {needed} bytes, and the file has {left} more: it is cut off, or still being "
        "written; copy or write it again, or leave it out"
    )


def _no_tfrecord(path: str, beginning: bytes) -> str:
    """What is wrong with a file whose first record is none."""
    is_gzip = beginning[:2] == b"\x1f\x8b"
    is_zlib = beginning[0] & 0x0F == 8 and int.from_bytes(beginning[:2], "big") % 31 == 0
    if is_gzip or is_zlib:
        kind, command = "zlib", ""
        if is_gzip:
            kind, command = "gzip", f" (gunzip < {shlex.quote(path)} > FILE)"
        return (
            f"{path}: record 0 at byte 0: the file is compressed ({kind}), and no record of such a "
            f"file can be read without all that stand before it; decompress it{command}, which "
            "gives the TFRecord file with the same records, and index that"
        )
    return (
        f"{path}: record 0 at byte 0: the checksum of its length is wrong; it is no TFRecord file, "
        "or damaged: leave it out, or copy or write it again"
    )
