import json
import os
import subprocess
import sys

import numpy as np
import pytest
from corpora import TEXTS, files, make, text, write

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare


def make_sources(folder):
    """Many small documents, and a large one that must be cut."""
    for index in range(60):
        write(folder / f"{index % 7}/{index}.txt", text(50 + 37 * index, seed=index))
    write(folder / "large.txt", text(30_000, seed=99))
    return folder


def tokens_of(corpus, split):
    """All tokens of a split, read by TensorFlow."""
    import tensorflow as tf

    feature = {"tokens": tf.io.FixedLenFeature([], tf.string)}
    paths = [f"{corpus.directory}/{shard.file}" for shard in corpus.splits[split].shards]
    data = b"".join(
        tf.io.parse_single_example(record, feature)["tokens"].numpy()
        for record in tf.data.TFRecordDataset(paths)
    )
    return np.frombuffer(data, corpus.vocabulary.dtype)


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_bytes_are_the_same_for_any_number_of_workers(tmp_path, vocabulary):
    sources = make_sources(tmp_path / "in")
    options = PrepareOptions(vocabulary=vocabulary, shard_bytes=5000, record_tokens=100)
    for workers in (1, 2, 5):
        prepare([sources], tmp_path / f"{workers}", options, workers=workers)
    one, two, five = (files(tmp_path / f"{workers}") for workers in (1, 2, 5))
    assert len(one) > 20
    assert one == two == five


def test_bytes_do_not_depend_on_where_the_sources_lie(tmp_path):
    options = PrepareOptions(vocabulary="char", shard_bytes=5000)
    for place in ("here", "over/there"):
        prepare([make_sources(tmp_path / place)], tmp_path / place / "out", options, glob="*.txt")
    here, there = (files(tmp_path / place / "out") for place in ("here", "over/there"))
    assert here == there
    assert str(tmp_path).encode() not in b"".join(here.values())


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
@pytest.mark.parametrize("splits", [{"train": 1.0}, {"a": 0.5, "b": 0.2, "c": 0.3}])
def test_every_document_comes_back(tmp_path, vocabulary, splits):
    """Each text once, in one split, in order, with a separator behind it."""
    sources = make_sources(tmp_path / "in")
    options = PrepareOptions(
        vocabulary=vocabulary, shard_bytes=3000, record_tokens=64, splits=splits
    )
    manifest = prepare([sources], tmp_path / "out", options)
    corpus = open_corpus(tmp_path / "out")
    documents = [(sources / source.name).read_bytes() for source in manifest.sources]
    found = {}
    for split in splits:
        tokens = tokens_of(corpus, split)
        assert len(tokens) == corpus.splits[split].num_tokens
        data = corpus.vocabulary.decode_bytes(tokens)
        parts = data.split(b"\0")
        assert len(data) - data.count(b"\0") == corpus.splits[split].num_bytes
        if len(splits) == 1:
            assert parts == [*documents, b""]
        found[split] = parts
    everything = b"".join(part for parts in found.values() for part in parts)
    assert sorted(everything) == sorted(b"".join(documents))


def test_the_shards_are_what_the_manifest_says(tmp_path):
    import hashlib

    corpus = make(tmp_path, text(20_000), shard_bytes=3000, record_tokens=100)
    for split in corpus.splits.values():
        for shard in split.shards:
            data = (tmp_path / "corpus" / shard.file).read_bytes()
            assert len(data) == shard.num_bytes
            assert hashlib.sha256(data).hexdigest() == shard.sha256
            assert shard.num_records == -(-shard.num_tokens // 100)
    pieces = [piece for split in corpus.splits.values() for s in split.shards for piece in s.pieces]
    assert pieces[0][:2] == (0, 0)
    assert [stop for _, _, stop, _ in pieces[:-1]] == [start for _, start, _, _ in pieces[1:]]
    assert pieces[-1][2] == corpus.manifest.sources[0].num_bytes


def test_cuts_inside_a_document_stand_behind_newlines(tmp_path):
    lines = "".join(f"line {number}\n" for number in range(5000))
    corpus = make(tmp_path, lines, shard_bytes=4000)
    data = lines.encode()
    for split in corpus.splits.values():
        for shard in split.shards:
            for _, start, _, _ in shard.pieces:
                assert start == 0 or data[start - 1 : start] == b"\n"


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_tfds_reads_the_same_tokens(tmp_path, vocabulary):
    import tensorflow_datasets as tfds

    corpus = make(
        tmp_path, text(20_000), vocabulary=vocabulary, shard_bytes=3000, record_tokens=100
    )
    builder = tfds.builder_from_directory(corpus.directory)
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    for split in corpus.splits:
        dataset = builder.as_dataset(split=split, read_config=read_config)
        tokens = np.concatenate([record["tokens"] for record in dataset.as_numpy_iterator()])
        np.testing.assert_array_equal(tokens, tokens_of(corpus, split))
        assert builder.info.splits[split].num_examples == len(dataset)


@pytest.mark.parametrize("content", TEXTS)
def test_carriage_returns_and_byte_order_marks_stay(tmp_path, content):
    corpus = make(tmp_path, content, vocabulary="char", splits={"train": 1.0})
    decoded = corpus.vocabulary.decode_bytes(tokens_of(corpus, "train"))
    assert decoded == content.encode() + b"\0"


def test_bytes_that_are_not_text(tmp_path):
    content = bytes(range(256)) * 10
    corpus = make(tmp_path, content, splits={"train": 1.0})
    assert tokens_of(corpus, "train").tobytes() == content + b"\0"


def test_every_option_changes_something(tmp_path):
    source = write(tmp_path / "text.txt", text(20_000))
    made = {}
    for name, options in {
        "default": {},
        "vocabulary": {"vocabulary": "char"},
        "name": {"name": "other"},
        "splits": {"splits": {"train": 0.5, "test": 0.5}},
        "shard_bytes": {"shard_bytes": 1000},
        "record_tokens": {"record_tokens": 10},
    }.items():
        prepare([source], tmp_path / name, PrepareOptions(**options))
        made[name] = {k: v for k, v in files(tmp_path / name).items() if "tfrecord" in k}
        assert list(made.values()).count(made[name]) == 1, name


NOT_UTF8 = "é" * 200_000  # the offset lies in a block of its own


@pytest.mark.parametrize("workers", [1, 2])
def test_text_that_is_not_utf8_names_file_offset_and_remedy(tmp_path, workers):
    write(tmp_path / "in/a.txt", text(1000))
    write(tmp_path / "in/b.txt", NOT_UTF8.encode() + b"\xe9t\xe9")
    options = PrepareOptions(vocabulary="char", shard_bytes=50_000)
    with pytest.raises(UserError, match=r"b\.txt is not UTF-8 at byte 400000 .*--vocabulary byte"):
        prepare([tmp_path / "in"], tmp_path / "out", options, workers=workers)
    assert not (tmp_path / "out").exists()


def test_a_character_cut_off_at_the_end_is_not_utf8(tmp_path):
    source = write(tmp_path / "a.txt", b"ab" * 100 + "é".encode()[:1])
    with pytest.raises(UserError, match=r"not UTF-8 at byte 200"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="char"))


def test_an_output_that_exists_is_not_touched(tmp_path):
    source = write(tmp_path / "a.txt", text(1000))
    other = tmp_path / "other"
    write(other / "precious.txt", "x")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="exists and is no corpus"):
            prepare([source], other, overwrite=overwrite)
    assert files(other) == {"precious.txt": b"x"}
    with pytest.raises(UserError, match="exists and is not a directory"):
        prepare([source], source)

    prepare([source], tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(UserError, match=r"holds a corpus; nothing was changed.*--overwrite"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="char"))
    assert files(tmp_path / "out") == before
    write(tmp_path / "bad.txt", b"\xff" * 100)
    options = PrepareOptions(vocabulary="char")
    with pytest.raises(UserError, match="not UTF-8"):
        prepare([tmp_path / "bad.txt"], tmp_path / "out", options, overwrite=True)
    assert files(tmp_path / "out") == before


def test_overwrite_leaves_nothing_of_the_old_corpus(tmp_path):
    source = write(tmp_path / "a.txt", text(10_000))
    prepare([source], tmp_path / "out", PrepareOptions(shard_bytes=1000, name="old"))
    options = PrepareOptions(vocabulary="char")
    prepare([source], tmp_path / "out", options, overwrite=True)
    prepare([source], tmp_path / "fresh", options)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


def test_an_output_without_permission(tmp_path, monkeypatch):
    source = write(tmp_path / "a.txt", "text")
    # Root may write anywhere: what the system would say to others.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match=r"out cannot be written: no permission in"):
        prepare([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_workers_must_be_positive(tmp_path):
    with pytest.raises(OptionError, match="`workers` must be at least 1, not 0"):
        prepare([write(tmp_path / "a.txt", "text")], tmp_path / "out", workers=0)


def test_a_source_that_shrinks_meanwhile_is_named(tmp_path, monkeypatch):
    import pipeline.preparing.prepare as prepare_module

    source = write(tmp_path / "a.txt", text(1000))
    original = prepare_module._write

    def shrink(*arguments):
        source.write_text("short")
        return original(*arguments)

    monkeypatch.setattr(prepare_module, "_write", shrink)
    with pytest.raises(UserError, match=r"a\.txt ends at byte 5, .* it changed meanwhile"):
        prepare([source], tmp_path / "out", PrepareOptions(splits={"train": 1.0}), workers=1)


def test_preparing_imports_no_tensorflow(tmp_path):
    source = write(tmp_path / "a.txt", text(10_000))
    program = f"""
import sys
from pipeline import PrepareOptions, prepare
if __name__ == "__main__":
    options = PrepareOptions(vocabulary="char", shard_bytes=1000)
    prepare([{str(source)!r}], {str(tmp_path / "out")!r}, options, workers=2)
    assert "tensorflow" not in sys.modules
"""
    script = write(tmp_path / "program.py", program)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, script], check=True, env=environment)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["format"] == 1
