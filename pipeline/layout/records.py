"""Records of a shard: tokens <-> TFRecord files of `tf.train.Example`, without TensorFlow.

A record is a `tf.train.Example` with one bytes feature, `tokens`: raw little-endian ids.
All records of a shard hold `record_tokens` tokens but its last, so that the byte offset of
any token is arithmetic: records of equal payload are framed alike.

    TFRecord framing (tensorflow/core/lib/io/record_writer.h):
    uint64 length | uint32 masked crc of length | Example | uint32 masked crc of Example
"""

import bisect
import dataclasses
import functools
import io
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import google_crc32c
import numpy as np
from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files import open_file

FEATURE = "tokens"


def record_bytes(payload_bytes: int) -> int:
    """The size on disk of a record whose tokens take `payload_bytes`."""
    return len(_header(payload_bytes)[0]) + payload_bytes + 4


def file_bytes(num_tokens: int, *, record_tokens: int, itemsize: int) -> int:
    """The size on disk of a shard of full records and a last one."""
    num_full, rest = divmod(num_tokens, record_tokens)
    last = record_bytes(rest * itemsize) if rest else 0
    return num_full * record_bytes(record_tokens * itemsize) + last


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
    """What a writer wrote: `num_tokens`, `num_records`, `num_bytes` on disk, `blake3` in hex."""

    num_tokens: int
    num_records: int
    num_bytes: int
    blake3: str


class RecordWriter:
    """Writes a stream of tokens as records to an open binary file.

    Args:
        file: where the records go.
        record_tokens: the tokens of a full record.
        itemsize: the bytes of a token.
    """

    def __init__(self, file: BinaryIO, *, record_tokens: int, itemsize: int):
        self._file = file
        self._itemsize = itemsize
        self._payload_bytes = record_tokens * itemsize
        self._header = _header(self._payload_bytes)
        self._pending = bytearray()
        self._digest = blake3()
        self._num_tokens = self._num_records = self._num_bytes = 0

    def write(self, tokens: np.ndarray) -> None:
        """Appends `tokens`, `[n]`, and writes every record that is full."""
        self._num_tokens += len(tokens)
        data = tokens.view(np.uint8).data
        parts: list[bytes | memoryview] = []
        start = 0
        if self._pending:
            start = min(self._payload_bytes - len(self._pending), len(data))
            self._pending += data[:start]
            if len(self._pending) < self._payload_bytes:
                return
            self._add_record(parts, bytes(self._pending), self._header)
            self._pending.clear()
        stop = start + (len(data) - start) // self._payload_bytes * self._payload_bytes
        for offset in range(start, stop, self._payload_bytes):
            self._add_record(parts, data[offset : offset + self._payload_bytes], self._header)
        self._write(parts)
        self._pending += data[stop:]

    def finish(self) -> Written:
        """Writes the last, shorter record, and returns what the file holds now."""
        if self._pending:
            parts: list[bytes | memoryview] = []
            self._add_record(parts, bytes(self._pending), _header(len(self._pending)))
            self._write(parts)
            self._pending.clear()
        return Written(
            num_tokens=self._num_tokens,
            num_records=self._num_records,
            num_bytes=self._num_bytes,
            blake3=self._digest.hexdigest(),
        )

    def _add_record(
        self,
        parts: list[bytes | memoryview],
        payload: bytes | memoryview,
        header: tuple[bytes, int],
    ) -> None:
        before, crc_before = header
        # The prefix never changes: extending its checksum saves joining prefix and payload.
        crc = google_crc32c.extend(crc_before, bytes(payload))
        parts += (before, payload, struct.pack("<I", masked_crc(crc)))
        self._num_records += 1

    def _write(self, parts: list[bytes | memoryview]) -> None:
        # The digest of many records at once takes a third of the time of one by one.
        data = b"".join(parts)
        self._file.write(data)
        self._digest.update(data)
        self._num_bytes += len(data)


def read_records(path: str) -> Iterator[bytes]:
    """Yields the payload of every record of a file, in order.

    Raises:
        UserError: a checksum is wrong, the file ends inside a record, or a record is not one of
            ours; it names the record and its byte offset.
    """
    with _open(path) as file:
        file_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        number = 0
        while (payload := _read_record(file, number, file_bytes)) is not None:
            yield payload
            number += 1


def read_payload(
    path: str, *, first_record: int, last_record: int, full_payload_bytes: int
) -> bytes:
    """Returns the payloads of consecutive records, joined; reads no others.

    Args:
        path: the file.
        first_record: index of the first.
        last_record: index of the last; included.
        full_payload_bytes: the payload of every record but the file's last.

    Raises:
        UserError: a record is missing or damaged.
    """
    size = record_bytes(full_payload_bytes)
    with _open(path) as file:
        file.seek(first_record * size)
        data = file.read((last_record - first_record + 1) * size)
    payloads = parse_records(data, first_record=first_record, full_payload_bytes=full_payload_bytes)
    if len(payloads) <= last_record - first_record:
        raise UserError(f"{path}: ends before record {first_record + len(payloads)}")
    return b"".join(payloads)


def parse_records(data: bytes, *, first_record: int, full_payload_bytes: int) -> list[bytes]:
    """Returns the payloads of consecutive records of a shard.

    Args:
        data: the records.
        first_record: index of the first, for what is said.
        full_payload_bytes: the payload of every record but the shard's last.

    Raises:
        UserError: a checksum is wrong, the data end inside a record, or a record is not one of
            ours; it names the record and its byte offset.
    """
    (header, crc_before), size = _header(full_payload_bytes), record_bytes(full_payload_bytes)
    payloads = []
    for start in range(0, len(data), size):
        stop = start + size
        payload, crc = data[start + len(header) : stop - 4], data[stop - 4 : stop]
        # Of a full record all is known but the payload and its checksum.
        if not (
            data.startswith(header, start)
            and crc == struct.pack("<I", masked_crc(google_crc32c.extend(crc_before, payload)))
        ):
            rest = io.BytesIO(data[start : start + size])
            number = first_record + start // size
            found = _read_record(rest, number, len(rest.getvalue()), base=number * size)
            if found is None or rest.read(1):
                raise UserError(f"record {number} at byte {number * size}: it has another length")
            payload = found
        payloads.append(payload)
    return payloads


def example_of(payload: bytes) -> bytes:
    """The `tf.train.Example` of a record, serialised."""
    return _header(len(payload))[0][12:] + payload


def _open(path: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, open_file(path))))


def _read_record(file: BinaryIO, number: int, file_bytes: int, *, base: int = 0) -> bytes | None:
    """The payload of the record at the file's position; `None` at the end of the file.

    Args:
        file: with the record.
        number: the record's, in the shard.
        file_bytes: the size of the file.
        base: the byte of the shard that the file begins with.
    """
    where = f"record {number} at byte {base + file.tell()}"
    framing = file.read(12)
    if not framing:
        return None
    length = int.from_bytes(framing[:8], "little")
    if framing[8:] != struct.pack("<I", masked_crc(google_crc32c.value(framing[:8]))):
        raise UserError(f"{where}: the checksum of its length is wrong")
    if length > file_bytes - file.tell() - 4:  # before memory is taken for what it claims
        raise UserError(f"{where}: the file ends inside it")
    example, crc = file.read(length), file.read(4)
    if crc != struct.pack("<I", masked_crc(google_crc32c.value(example))):
        raise UserError(f"{where}: the checksum of its content is wrong")
    return example[_example_bytes(length, where) :]


def _example_bytes(length: int, where: str) -> int:
    """The bytes of an Example of `length` bytes that stand before its payload."""
    for before in range(min(length, 64)):
        if len(_header(length - before)[0]) - 12 == before:
            return before
    raise UserError(f"{where}: it is no Example with one feature `{FEATURE}`")


def example_prefixes(full_payload_bytes: int) -> tuple[list[int], list[int]]:
    """How many bytes of an Example stand before its payload, by the size of the Example.

    Args:
        full_payload_bytes: the payload of a full record.

    Returns:
        Ascending sizes, and the bytes before the payload from each size on. Of 128:
        `[18, 131, 134, 145, 148, 151]` and `[18, 19, 20, 21, 22, 23]`, so 18 bytes in Examples
        of up to 130 bytes.
    """

    def before(payload_bytes: int) -> int:
        return len(_header(payload_bytes)[0]) - 12

    sizes, prefixes = [before(0)], [before(0)]
    while prefixes[-1] < before(full_payload_bytes):
        payload_bytes = bisect.bisect_right(range(full_payload_bytes), prefixes[-1], key=before)
        prefixes.append(before(payload_bytes))
        sizes.append(payload_bytes + prefixes[-1])
    return sizes, prefixes


@functools.lru_cache(maxsize=64)
def _header(payload_bytes: int) -> tuple[bytes, int]:
    """Returns what stands before a payload in the file, and the checksum of its Example part."""
    value = _field(1, payload_bytes)  # BytesList.value
    bytes_list = _field(1, len(value) + payload_bytes) + value  # Feature.bytes_list
    key = _field(1, len(FEATURE)) + FEATURE.encode()  # the map entry's key …
    entry = key + _field(2, len(bytes_list) + payload_bytes) + bytes_list  # … and its value
    feature = _field(1, len(entry) + payload_bytes) + entry  # Features.feature
    example = _field(1, len(feature) + payload_bytes) + feature  # Example.features
    length = struct.pack("<Q", len(example) + payload_bytes)
    framing = length + struct.pack("<I", masked_crc(google_crc32c.value(length)))
    return framing + example, google_crc32c.value(example)


def _field(number: int, length: int) -> bytes:
    """The tag and the length of a length-delimited protocol buffer field."""
    encoded = bytearray([number << 3 | 2])
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)


def masked_crc(crc: Any) -> Any:
    """The rotation that TFRecord applies, so that checksums of checksums stay useful.

    Args:
        crc: a checksum, or an array of them, uint32.
    """
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
