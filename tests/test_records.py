import bisect
import hashlib
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.layout.records import RecordWriter, example_of, example_prefixes, record_bytes


def written_by_tensorflow(path, tokens, record_tokens):
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
def test_files_are_those_of_tensorflow(tmp_path, dtype, record_tokens, num_tokens):
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
    assert written.sha256 == hashlib.sha256(data).hexdigest()
    if len(tokens) >= record_tokens:
        full = len(tokens) // record_tokens * record_bytes(record_tokens * tokens.itemsize)
        assert 0 <= len(data) - full <= record_bytes(record_tokens * tokens.itemsize)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 40))
def test_bytes_do_not_depend_on_the_blocks(sizes, record_tokens):
    tokens = np.arange(sum(sizes)).astype("<u2")

    def write(blocks):
        file = io.BytesIO()
        writer = RecordWriter(file, record_tokens=record_tokens, itemsize=2)
        for block in blocks:
            writer.write(block)
        writer.finish()
        return file.getvalue()

    assert write(np.split(tokens, np.cumsum(sizes))) == write([tokens])


@pytest.mark.parametrize("full_payload_bytes", [1, 100, 128, 300, 16384, 20000])
def test_the_payload_of_an_example_is_found_by_its_size(full_payload_bytes):
    sizes, prefixes = example_prefixes(full_payload_bytes)
    for payload_bytes in range(full_payload_bytes + 1):
        num_bytes = len(example_of(bytes(payload_bytes)))
        prefix = prefixes[bisect.bisect_right(sizes, num_bytes) - 1]
        assert prefix == num_bytes - payload_bytes
