"""Framing: offsets are those of a slow oracle, whoever wrote the file; every fault is placed."""

import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from corpora import write
from hypothesis import given, settings
from hypothesis import strategies as st
from tfrecords import contents_of, crc, framed, header, slow_offsets, write_records

from pipeline import UserError
from pipeline.indexing import framing
from pipeline.indexing.framing import FileToWalk, length_crcs, record_offsets
from pipeline.layout.records import masked_crc

# The block: a record by itself, some, all. What is skipped: everything, some, nothing.
BLOCKS, SKIPPED = (16, 100, 2**20), (1, 60, 2**30)
SIZES = st.one_of(st.integers(0, 40), st.integers(0, 400))


def walk(path: Path | str, **options: int) -> list[int]:
    """All offsets of a file; the bytes that are reported as done are those of the file."""
    num_bytes = tf.io.gfile.stat(str(path)).length
    done: list[int] = []
    walked = FileToWalk(path=str(path), num_bytes=num_bytes, **options)  # type: ignore[arg-type]
    found = list(record_offsets(walked, done.append))
    assert sum(done) == num_bytes
    assert all(offsets.dtype == np.uint64 for offsets in found)
    return [int(offset) for offsets in found for offset in offsets]


def walk_all_ways(path: Path) -> list[int]:
    """The same, whatever is read at once or skipped, and with all checksums."""
    found = walk(path)
    for block_bytes in BLOCKS:
        for skipped_bytes in SKIPPED:
            assert walk(path, block_bytes=block_bytes, skipped_bytes=skipped_bytes) == found
        assert walk(path, block_bytes=block_bytes, check=True) == found
    return found


def refused(path: Path, **options: int) -> str:
    """The one message, whatever is read at once."""
    messages = set()
    for block_bytes in BLOCKS:
        with pytest.raises(UserError) as caught:
            walk(path, block_bytes=block_bytes, **options)
        messages.add(str(caught.value))
    assert len(messages) == 1
    return messages.pop()


@settings(max_examples=150)
@given(st.lists(SIZES, max_size=30))
def test_offsets_are_those_of_an_oracle(tmp_path_factory: object, sizes: list[int]) -> None:
    contents = [bytes([size % 256]) * size for size in sizes]
    path = write_records(tmp_path_factory.mktemp("x") / "x", contents)  # type: ignore[attr-defined]
    assert walk_all_ways(path) == slow_offsets(contents)


def test_what_tensorflow_writes(tmp_path: Path) -> None:
    contents = [*contents_of(200), b"", b"", b"x" * 5000]
    with tf.io.TFRecordWriter(str(tmp_path / "x")) as writer:
        for content in contents:
            writer.write(content)
    assert walk_all_ways(tmp_path / "x") == slow_offsets(contents)
    assert walk(f"file://{tmp_path / 'x'}") == slow_offsets(contents)


def test_files_without_records_and_records_without_content(tmp_path: Path) -> None:
    assert walk_all_ways(write(tmp_path / "x", b"")) == []
    assert walk_all_ways(write_records(tmp_path / "x", [b""] * 50)) == list(range(0, 800, 16))


def test_only_the_lengths_of_large_records_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sparse file of 2^40 bytes: a block, and then their headers."""
    path = tmp_path / "x"
    lengths = [2**32, 2**40, 2**33 + 7]
    with open(path, "wb") as file:
        for length in lengths:
            file.write(header(length))
            file.seek(length + 4, 1)
        file.truncate()
    offsets = [0, 2**32 + 16, 2**32 + 2**40 + 32]
    read: list[int] = []

    class Counting(io.FileIO):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            read.append(super().readinto(buffer))
            return read[-1]

    monkeypatch.setattr(framing, "open_file", lambda path: Counting(path))
    assert walk(path) == offsets
    assert read == [2**20, 12, 12]
    with pytest.raises(UserError, match="record 0 at byte 0: the checksum of its content is wrong"):
        walk(write_sparse(tmp_path / "y", 2**22), check=True)


def write_sparse(path: Path, length: int) -> Path:
    with open(path, "wb") as file:
        file.write(header(length))
        file.truncate(length + 16)
    return path


def test_large_records_are_checked_in_parts(tmp_path: Path) -> None:
    contents = [b"a" * 30, bytes(range(256)) * 4, b"b" * 99, b"c" * 101, b""]
    path = write_records(tmp_path / "x", contents)
    assert walk(path, check=True, block_bytes=100) == slow_offsets(contents)
    data = bytearray(path.read_bytes())
    for offset in (46 + 12, 46 + 12 + 1023, 46 + 12 + 1024):  # its content, and its checksum
        data[offset] ^= 8
        write(path, bytes(data))
        message = refused(path, check=True)
        assert message.startswith(f"{path}: record 1 at byte 46: the checksum of its content is")
        assert walk(path) == slow_offsets(contents), "only --check looks at contents"
        data[offset] ^= 8


def test_every_wrong_bit_of_a_length_is_found(tmp_path: Path) -> None:
    contents = contents_of(20, seed=3)
    whole = b"".join(map(framed, contents))
    for number in (1, 7, 19):
        start = slow_offsets(contents)[number]
        for bit in range(96):
            data = bytearray(whole)
            data[start + bit // 8] ^= 1 << bit % 8
            message = refused(write(tmp_path / "x", bytes(data)))
            assert message.startswith(f"{tmp_path / 'x'}: record {number} at byte {start}: ")
            assert "the checksum of its length is wrong; the file is damaged" in message
            assert message.endswith("copy or write it again, or leave it out")


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    contents = contents_of(6, seed=3)
    whole, starts = b"".join(map(framed, contents)), slow_offsets(contents)
    for size in range(1, len(whole)):
        path = write(tmp_path / "x", whole[:size])
        if size in starts:
            assert walk_all_ways(path) == starts[: starts.index(size)]
            continue
        number = sum(start < size for start in starts) - 1
        left = size - starts[number]
        needed = f"{len(contents[number]) + 16}" if left >= 12 else "at least 12"
        assert refused(path) == (
            f"{path}: record {number} at byte {starts[number]}: it takes {needed} bytes, and the "
            f"file has {left} more: it is cut off, or still being written; copy or write it again, "
            "or leave it out"
        )


@pytest.mark.parametrize("length", [2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 20, 2**64 - 1])
def test_a_record_that_claims_more_than_there_is(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "x", framed(b"first") + header(length) + b"content")
    for check in (False, True):
        message = refused(path, check=check)
        assert f"record 1 at byte 21: it takes {length + 16} bytes, and the file has 19" in message


def test_contents_are_checked(tmp_path: Path) -> None:
    contents = contents_of(40, seed=1)
    whole, starts = b"".join(map(framed, contents)), slow_offsets(contents)
    for number in (0, 5, 39):
        for place in (12, 12 + len(contents[number]), len(contents[number]) + 15):
            data = bytearray(whole)
            data[starts[number] + place] ^= 1
            path = write(tmp_path / "x", bytes(data))
            assert walk(path) == starts
            message = refused(path, check=True)
            assert f"x: record {number} at byte {starts[number]}: the checksum of its" in message
            assert "content is wrong; the file is damaged there: copy or write it" in message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(framed(b"content")), r"the file is compressed \(gzip\), .*\(gunzip < /"),
        (zlib.compress(framed(b"content")), r"the file is compressed \(zlib\), and no record"),
        (zlib.compress(framed(b"content"), 1), r"compressed \(zlib\), .* decompress it, which"),
        (b'{"a": 1}\n' * 9, "the checksum of its length is wrong; it is no TFRecord file, or"),
        (b"PAR1" + bytes(40), "it is no TFRecord file, or damaged: leave it out, or copy"),
    ],
    ids=["gzip", "zlib", "zlib 1", "json", "parquet"],
)
def test_what_is_no_tfrecord_file(tmp_path: Path, data: bytes, message: str) -> None:
    path = write(tmp_path / "x", data)
    with pytest.raises(UserError, match=rf"^{path}: record 0 at byte 0: .*{message}"):
        walk(path)


def test_what_tensorflow_compresses(tmp_path: Path) -> None:
    for kind in ("GZIP", "ZLIB"):
        with tf.io.TFRecordWriter(str(tmp_path / "x"), kind) as writer:
            writer.write(b"content" * 30)
        assert f"the file is compressed ({kind.lower()})" in refused(tmp_path / "x")


def test_a_record_that_begins_like_a_compressed_file_is_one(tmp_path: Path) -> None:
    contents = [bytes(0x8B1F), b"x"]  # its length begins with the two bytes of gzip
    path = write_records(tmp_path / "x", contents)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert walk(path) == slow_offsets(contents)


def test_a_file_that_shrinks_is_named(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x", [b"content"] * 9)
    with pytest.raises(
        UserError, match=r"x ends at byte 207, but had 300 bytes before: it changed"
    ):
        list(record_offsets(FileToWalk(path=str(path), num_bytes=300), lambda _: None))


@given(st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_checksums_of_lengths_are_those_of_the_library(lengths: Iterable[int]) -> None:
    rows = np.array(lengths, "<u8").reshape(-1, 1).view(np.uint8).reshape(-1, 8)
    expected = [masked_crc(google_crc32c.value(row.tobytes())) for row in rows]
    assert length_crcs(rows).tolist() == expected
    assert [int.from_bytes(crc(row.tobytes()), "little") for row in rows] == expected
