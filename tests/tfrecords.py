"""TFRecord files for the tests, and a slow reader of their framing."""

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import google_crc32c

from pipeline.layout.records import masked_crc


def crc(data: bytes) -> bytes:
    """The masked checksum of some bytes, as a file has it."""
    return struct.pack("<I", masked_crc(google_crc32c.value(data)))


def header(length: int) -> bytes:
    """What stands before a record that claims a length."""
    packed = struct.pack("<Q", length)
    return packed + crc(packed)


def framed(content: bytes) -> bytes:
    """A record as it stands in a file."""
    return header(len(content)) + content + crc(content)


def write_records(path: Path, contents: Iterable[bytes]) -> Path:
    """Writes a TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(framed, contents)))
    return path


def contents_of(num_records: int, *, seed: int = 0) -> list[bytes]:
    """Contents of many sizes, each of another byte."""
    return [
        bytes([(index + seed) % 256]) * (index * 7919 % 97 + seed) for index in range(num_records)
    ]


def slow_offsets(contents: Sequence[bytes]) -> list[int]:
    """Where records with these contents begin in a file."""
    return [
        sum(len(content) + 16 for content in contents[:index]) for index in range(len(contents))
    ]
