"""Records: the files of TensorFlow, byte for byte, and what is wrong with a damaged one."""

import bisect
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from blake3 import blake3
from corpora import write as write_file
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.layout.records import (
    RecordWriter,
    example_of,
    example_prefixes,
    parse_records,
    read_payload,
    read_records,
    record_bytes,
)


def written_by_tensorflow(path: Path, tokens: np.ndarray, record_tokens: int) -> bytes:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for start in range(0, len(tokens), record_tokens):
            data = tokens[start : start + record_tokens].tobytes()
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
            example = tf.train.Example(features=tf.train.Features(feature={"tokens": feature}))
            writer.write(example.SerializeToString())
    return path.read_bytes()


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<u4"])
@pytest.mark.parametrize("record_tokens", [1, 3, 127, 20_000])
@pytest.mark.parametrize("num_tokens", [0, 1, 126, 127, 128, 50_000])
def test_files_are_those_of_tensorflow(
    tmp_path: Path, dtype: str, record_tokens: int, num_tokens: int
) -> None:
    tokens = np.arange(min(num_tokens, 300 * record_tokens)).astype(dtype)
    file = io.BytesIO()
    writer = RecordWriter(file, record_tokens=record_tokens, itemsize=tokens.itemsize)
    writer.write(tokens)
    written = writer.finish()
    data = file.getvalue()
    assert data == written_by_tensorflow(tmp_path / "expected", tokens, record_tokens)
    assert written.num_tokens == len(tokens)
    assert written.num_records == -(-len(tokens) // record_tokens)
    assert written.num_bytes == len(data)
    assert written.blake3 == blake3(data).hexdigest()
    if len(tokens) >= record_tokens:
        full = len(tokens) // record_tokens * record_bytes(record_tokens * tokens.itemsize)
        assert 0 <= len(data) - full <= record_bytes(record_tokens * tokens.itemsize)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 40))
def test_bytes_do_not_depend_on_the_blocks(sizes: list[int], record_tokens: int) -> None:
    tokens = np.arange(sum(sizes)).astype("<u2")

    def write(blocks: list[np.ndarray]) -> bytes:
        file = io.BytesIO()
        writer = RecordWriter(file, record_tokens=record_tokens, itemsize=2)
        for block in blocks:
            writer.write(block)
        writer.finish()
        return file.getvalue()

    assert write(np.split(tokens, np.cumsum(sizes))) == write([tokens])


@pytest.mark.parametrize("full_payload_bytes", [1, 100, 128, 300, 16384, 20000])
def test_the_payload_of_an_example_is_found_by_its_size(full_payload_bytes: int) -> None:
    sizes, prefixes = example_prefixes(full_payload_bytes)
    for payload_bytes in range(full_payload_bytes + 1):
        num_bytes = len(example_of(bytes(payload_bytes)))
        prefix = prefixes[bisect.bisect_right(sizes, num_bytes) - 1]
        assert prefix == num_bytes - payload_bytes


def records_of(num_tokens: int, record_tokens: int) -> bytes:
    file = io.BytesIO()
    writer = RecordWriter(file, record_tokens=record_tokens, itemsize=1)
    writer.write(np.arange(num_tokens).astype(np.uint8))
    writer.finish()
    return file.getvalue()


@pytest.mark.parametrize("record_tokens", [1, 7, 100])
def test_what_is_written_is_read(tmp_path: Path, record_tokens: int) -> None:
    path = str(write_file(tmp_path / "x", records_of(50, record_tokens)))
    payloads = list(read_records(path))
    assert b"".join(payloads) == bytes(range(50))
    assert {len(payload) for payload in payloads[:-1]} <= {record_tokens}
    for first in range(len(payloads)):
        for last in range(first, len(payloads)):
            found = read_payload(
                path, first_record=first, last_record=last, full_payload_bytes=record_tokens
            )
            assert found == b"".join(payloads[first : last + 1])
    with pytest.raises(UserError, match=f"ends before record {len(payloads)}"):
        read_payload(
            path,
            first_record=len(payloads) - 1,
            last_record=len(payloads),
            full_payload_bytes=record_tokens,
        )


def test_every_flipped_byte_is_found_and_placed(tmp_path: Path) -> None:
    data, size = records_of(30, 10), record_bytes(10)
    for offset in range(len(data)):
        path = write_file(
            tmp_path / "x", data[:offset] + bytes([data[offset] ^ 4]) + data[offset + 1 :]
        )
        number = offset // size
        with pytest.raises(UserError, match=f"record {number} at byte {number * size}: the"):
            list(read_records(str(path)))


def test_a_file_that_is_cut_off_is_found(tmp_path: Path) -> None:
    data, size = records_of(30, 10), record_bytes(10)
    for stop in range(len(data)):
        path = write_file(tmp_path / "x", data[:stop])
        if stop % size == 0:  # whole records: what is missing, the manifest knows
            assert len(list(read_records(str(path)))) == stop // size
            continue
        with pytest.raises(UserError, match=f"record {stop // size} at byte"):
            list(read_records(str(path)))


def test_a_record_of_a_size_that_no_payload_gives_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(example_of(b"ours"))
        writer.write(b"x" * 17)
    records = read_records(path)
    assert next(records) == b"ours"
    with pytest.raises(UserError, match=r"record 1 at byte \d+: it is no Example with one feature"):
        next(records)


def test_a_record_of_another_length_in_a_range_is_found() -> None:
    data = records_of(10, 10) + records_of(8, 8) + records_of(10, 10)
    with pytest.raises(UserError, match=r"record 6 at byte \d+: it has another length"):
        parse_records(data, first_record=5, full_payload_bytes=10)
    assert parse_records(records_of(18, 10), first_record=5, full_payload_bytes=10) == [
        bytes(range(10)),
        bytes(range(10, 18)),
    ]


class Counted(bytes):
    """Bytes that know how many were copied out of them."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, bytes):
            Counted.copied += len(found)
        return found


def test_a_record_is_copied_once_however_many_are_read_together() -> None:
    """What is after a record was copied for each: 50 MB of records took seconds."""
    file = io.BytesIO()
    writer = RecordWriter(file, record_tokens=100, itemsize=1)
    writer.write(np.zeros(50_000, np.uint8))
    writer.finish()
    data = Counted(file.getvalue())
    assert len(parse_records(data, first_record=0, full_payload_bytes=100)) == 500
    assert len(data) / 2 < Counted.copied <= len(data)
