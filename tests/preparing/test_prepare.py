"""Prepare: every document comes back, in the same bytes wherever and however it is made."""

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from corpora import (
    TEXTS,
    TRAIN,
    documents,
    files,
    make,
    prepared,
    shard_files,
    text,
    tokens_by_tensorflow,
    write,
    write_many,
)
from samples import COMPRESS, ROWS, json_lines, parquet
from terminal import ENVIRONMENT

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.errors import TextWarning
from trainer.config import TrainConfig
from trainer.config.splits import without_validation

HALVES = {"train": 0.5, "test": 0.5}


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_bytes_are_the_same_for_any_number_of_workers(tmp_path: Path, vocabulary: str) -> None:
    sources = write_many(tmp_path / "in")
    options = PrepareOptions(vocabulary=vocabulary, shard_bytes=5000, record_tokens=100)
    for workers in (1, 2, 5):
        prepare([sources], tmp_path / f"{workers}", options, workers=workers)
    one, two, five = (files(tmp_path / f"{workers}") for workers in (1, 2, 5))
    assert len(one) > 20
    assert one == two == five


def test_bytes_do_not_depend_on_where_the_sources_lie(tmp_path: Path) -> None:
    options = PrepareOptions(vocabulary="char", shard_bytes=5000)
    for place in ("here", "over/there"):
        prepare(
            [write_many(tmp_path / place)],
            tmp_path / place / "out",
            options,
            glob="*.txt",
            workers=1,
        )
    here, there = (files(tmp_path / place / "out") for place in ("here", "over/there"))
    assert here == there
    assert str(tmp_path).encode() not in b"".join(here.values())


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
@pytest.mark.parametrize("splits", [{"train": 1.0}, {"a": 0.5, "b": 0.2, "c": 0.3}])
def test_every_document_comes_back(
    tmp_path: Path, vocabulary: str, splits: dict[str, float]
) -> None:
    """Each text once, in one split, in order, with a separator after it."""
    sources = write_many(tmp_path / "in")
    options = PrepareOptions(
        vocabulary=vocabulary, shard_bytes=3000, record_tokens=64, splits=splits
    )
    manifest = prepare([sources], tmp_path / "out", options, workers=1)
    corpus = open_corpus(tmp_path / "out")
    texts = [(sources / source.name).read_bytes() for source in manifest.sources]
    found: dict[str, list[bytes]] = {}
    for split in splits:
        tokens = tokens_by_tensorflow(corpus, split)
        assert len(tokens) == corpus.splits[split].num_tokens
        data = corpus.vocabulary.decode_bytes(tokens)
        parts = data.split(b"\0")
        assert len(data) - data.count(b"\0") == corpus.splits[split].text_bytes
        if len(splits) == 1:
            assert parts == [*texts, b""]
        found[split] = parts
    everything = b"".join(part for parts in found.values() for part in parts)
    assert sorted(everything) == sorted(b"".join(texts))


def test_the_shards_are_what_the_manifest_says(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(20_000), shard_bytes=3000, record_tokens=100)
    for split in corpus.splits.values():
        for shard in split.shards:
            data = (tmp_path / "corpus" / shard.file).read_bytes()
            assert len(data) == shard.disk_bytes
            assert blake3(data).hexdigest() == shard.blake3
            assert shard.num_records == -(-shard.num_tokens // 100)
    pieces = [piece for split in corpus.splits.values() for s in split.shards for piece in s.pieces]
    assert (pieces[0].source_index, pieces[0].start) == (0, 0)
    assert [piece.stop for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
    assert pieces[-1].stop == corpus.manifest.sources[0].source_bytes


def test_a_document_that_is_cut_among_splits_counts_in_both(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(3000), splits=HALVES, shard_bytes=500)
    for split in corpus.splits.values():
        assert [shard.num_documents for shard in split.shards] == [0] * (len(split.shards) - 1) + [
            1
        ]
    assert b"".join(documents(corpus, "train") + documents(corpus, "test")) == text(3000).encode()


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_one_compressed_file_has_text_for_every_split(
    tmp_path: Path, suffix: str, vocabulary: str
) -> None:
    """As a user of the README gives it: the splits, the workers and all else by default."""
    content = text(100_000).encode()
    source = write(tmp_path / f"x.txt{suffix}", COMPRESS[suffix](content))
    options = PrepareOptions(vocabulary=vocabulary)
    for workers in (1, 2):
        prepare([source], tmp_path / f"{workers}", options, workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")
    corpus = open_corpus(tmp_path / "1")
    ranges = {split: documents(corpus, split) for split in corpus.splits}
    assert len(ranges["train"]) - len(ranges["validation"]) in (0, 1)
    order = itertools.zip_longest(ranges["train"], ranges["validation"], fillvalue=b"")
    assert b"".join(train + validation for train, validation in order) == content
    assert 0.015 < sum(map(len, ranges["validation"])) / len(content) < 0.025
    assert all(part.endswith(b"\n") for part in ranges["train"][5:-1]), "cut after newlines"
    assert verify(corpus.directory).problems == ()
    for window in trace(corpus, "validation", step=0, seq_len=50, batch_size=4):
        (place, *_) = window.passages
        document = int(re.search(r"\d+", place.document)[0])  # type: ignore[index]
        expected = ranges["validation"][document][place.start : place.stop]
        assert window.text.startswith(expected.decode("utf-8", "replace"))
    before = files(tmp_path / "1")
    shard_files(tmp_path / "1")[0].unlink()
    repair(tmp_path / "1", [source])
    assert files(tmp_path / "1") == before


def test_few_short_compressed_files_share_ranges(tmp_path: Path) -> None:
    """None has a range of validation of its own, and no hash sends one there."""
    contents = [text(500, seed=seed).encode() for seed in range(20)]
    for index, content in enumerate(contents):
        write(tmp_path / f"in/{index:02}.gz", gzip.compress(content, mtime=0))
    options = PrepareOptions(splits={"train": 0.999, "validation": 0.001})
    with pytest.warns(TextWarning, match=r"validation=0\.001 of \d+ documents is none"):
        prepare([tmp_path / "in"], tmp_path / "none", options, workers=1)
    corpus = prepared(tmp_path, tmp_path / "in")
    found = {split: documents(corpus, split) for split in corpus.splits}
    assert 1 < len(found["validation"]) < 10
    assert sorted(b"".join(found["train"] + found["validation"])) == sorted(b"".join(contents))
    before = files(Path(corpus.directory))
    for path in shard_files(corpus.directory):
        path.unlink()
    repair(corpus.directory, [tmp_path / "in"])
    assert files(Path(corpus.directory)) == before


def test_compressed_files_beside_others_are_cut_where_they_outweigh(tmp_path: Path) -> None:
    """A large one in ranges, a plain one likewise, small ones whole, and rows by their content."""
    folder = tmp_path / "in"
    large, plain = text(200_000).encode(), text(100_000, seed=1).encode()
    small = {f"{index}.txt": text(200, seed=index + 2).encode() for index in range(300)}
    write(folder / "large.txt.gz", gzip.compress(large))
    write(folder / "plain.txt", plain)
    for name, content in small.items():
        write(folder / name, content)
    options = PrepareOptions(text_field="text", splits={"train": 0.9, "test": 0.1})
    with pytest.raises(OptionError, match="`text_field` 'text' has no effect"):
        prepare([folder], tmp_path / "corpus", options)
    json_lines(folder / "rows.jsonl", [text(100, seed=seed) for seed in range(300)])
    for workers in (1, 2):
        prepare([folder], tmp_path / f"{workers}", options, workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")
    corpus = open_corpus(tmp_path / "1")
    found = {split: documents(corpus, split) for split in corpus.splits}
    assert {
        b"".join(found["train"]).count(c) + b"".join(found["test"]).count(c) for c in small.values()
    } == {1}
    for content in (large, plain):
        held_out = [part for part in found["test"] if len(part) > 50 and part in content]
        assert 0.05 < sum(map(len, held_out)) / len(content) < 0.15
    assert verify(corpus.directory).problems == ()
    before = files(tmp_path / "1")
    for path in shard_files(tmp_path / "1"):
        path.unlink()
    repair(tmp_path / "1", [folder])
    assert files(tmp_path / "1") == before


def test_cuts_inside_a_document_stand_after_newlines(tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(5000))
    corpus = make(tmp_path, lines, shard_bytes=4000)
    data = lines.encode()
    for split in corpus.splits.values():
        for shard in split.shards:
            for piece in shard.pieces:
                assert piece.start == 0 or data[piece.start - 1 : piece.start] == b"\n"


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_tfds_reads_the_same_tokens(tmp_path: Path, vocabulary: str) -> None:
    import tensorflow_datasets as tfds

    corpus = make(
        tmp_path, text(20_000), vocabulary=vocabulary, shard_bytes=3000, record_tokens=100
    )
    builder = tfds.builder_from_directory(corpus.directory)
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    for split in corpus.splits:
        dataset = builder.as_dataset(split=split, read_config=read_config)
        tokens = np.concatenate([record["tokens"] for record in dataset.as_numpy_iterator()])
        np.testing.assert_array_equal(tokens, tokens_by_tensorflow(corpus, split))
        assert builder.info.splits[split].num_examples == len(dataset)


@pytest.mark.parametrize("content", TEXTS)
def test_carriage_returns_and_byte_order_marks_stay(tmp_path: Path, content: str) -> None:
    corpus = make(tmp_path, content, vocabulary="char", splits={"train": 1.0})
    decoded = corpus.vocabulary.decode_bytes(tokens_by_tensorflow(corpus, "train"))
    assert decoded == content.encode() + b"\0"


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    corpus = make(tmp_path, content, splits={"train": 1.0})
    assert tokens_by_tensorflow(corpus, "train").tobytes() == content + b"\0"


def test_every_option_changes_something(tmp_path: Path) -> None:
    source = write(tmp_path / "text.txt", text(20_000))
    made: dict[str, dict[str, bytes]] = {}
    chosen: dict[str, dict[str, Any]] = {
        "default": {},
        "vocabulary": {"vocabulary": "char"},
        "name": {"name": "other"},
        "splits": {"splits": {"train": 0.5, "test": 0.5}},
        "shard_bytes": {"shard_bytes": 1000},
        "record_tokens": {"record_tokens": 10},
    }
    for name, options in chosen.items():
        prepare([source], tmp_path / name, PrepareOptions(**options), workers=1)
        made[name] = {k: v for k, v in files(tmp_path / name).items() if "tfrecord" in k}
        assert list(made.values()).count(made[name]) == 1, name


NOT_UTF8 = "é" * 200_000  # the offset lies in a block of its own


@pytest.mark.parametrize("workers", [1, 2])
def test_text_that_is_not_utf8_names_file_offset_and_remedy(tmp_path: Path, workers: int) -> None:
    write(tmp_path / "in/a.txt", text(1000))
    write(tmp_path / "in/b.txt", NOT_UTF8.encode() + b"\xe9t\xe9")
    options = PrepareOptions(vocabulary="char", shard_bytes=50_000)
    with pytest.raises(UserError, match=r"b\.txt is not UTF-8 at byte 400000 .*--vocabulary byte"):
        prepare([tmp_path / "in"], tmp_path / "out", options, workers=workers)
    assert not (tmp_path / "out").exists()


def test_a_character_cut_off_at_the_end_is_not_utf8(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", b"ab" * 100 + "é".encode()[:1])
    with pytest.raises(UserError, match=r"not UTF-8 at byte 200"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="char"))


def test_an_output_that_exists_is_not_touched(tmp_path: Path) -> None:
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
    with pytest.raises(UserError, match=r"as they are now; nothing was changed.*--overwrite"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="char"))
    assert files(tmp_path / "out") == before
    write(tmp_path / "bad.txt", b"\xff" * 100)
    options = PrepareOptions(vocabulary="char")
    with pytest.raises(UserError, match="not UTF-8"):
        prepare([tmp_path / "bad.txt"], tmp_path / "out", options, overwrite=True)
    assert files(tmp_path / "out") == before


def test_overwrite_leaves_nothing_of_the_old_corpus(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", text(10_000))
    prepare([source], tmp_path / "out", PrepareOptions(shard_bytes=1000, name="old"), workers=1)
    options = PrepareOptions(vocabulary="char")
    prepare([source], tmp_path / "out", options, workers=1, overwrite=True)
    prepare([source], tmp_path / "fresh", options, workers=1)
    assert files(tmp_path / "out") == files(tmp_path / "fresh")


def test_an_output_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.txt", "text")
    # Root may write anywhere: what the system would say to others.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError, match=r"out cannot be written: no permission in"):
        prepare([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_workers_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="`workers` must be an integer of at least 1, got 0"):
        prepare([write(tmp_path / "a.txt", "text")], tmp_path / "out", workers=0)


def test_a_source_that_shrinks_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipeline.preparing.prepare as prepare_module

    source = write(tmp_path / "a.txt", text(1000))
    original = prepare_module._write

    def shrink(*arguments: Any) -> Any:
        source.write_text("short")
        return original(*arguments)

    monkeypatch.setattr(prepare_module, "_write", shrink)
    with pytest.raises(UserError, match=r"a\.txt ends at byte 5, .* it changed meanwhile"):
        prepare([source], tmp_path / "out", PrepareOptions(splits={"train": 1.0}), workers=1)


def test_preparing_imports_no_tensorflow(tmp_path: Path) -> None:
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
    subprocess.run([sys.executable, script], check=True, env=ENVIRONMENT)
    assert json.loads((tmp_path / "out/manifest.json").read_text())["format"] == 5


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_rows_are_documents(tmp_path: Path, kind: str, vocabulary: str) -> None:
    make_rows = {"jsonl": json_lines, "parquet": parquet}[kind]
    path = make_rows(tmp_path / f"x.{kind}", ROWS)
    corpus = prepared(
        tmp_path, path, splits=HALVES, vocabulary=vocabulary, text_field="text", shard_bytes=500
    )
    train, test = documents(corpus, "train"), documents(corpus, "test")
    assert sorted(train + test) == sorted(row.encode() for row in ROWS)
    assert set(train).isdisjoint(test), "equal documents are in one split"
    assert len(corpus.splits["train"].shards) == len(corpus.splits["test"].shards) > 1
    assert corpus.splits["train"].num_documents == len(train)
    assert corpus.splits["train"].text_bytes == sum(map(len, train))
    findings = verify(corpus.directory)
    assert findings.problems == ()
    assert findings.duplicates == {}


def test_any_number_of_workers_gives_the_same_bytes_of_many_formats(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    json_lines(folder / "a.jsonl", ROWS)
    parquet(folder / "b.parquet", ROWS)
    write(folder / "c.txt.gz", gzip.compress(text(5000).encode()))
    write(folder / "d.txt", text(5000, seed=1))
    options = PrepareOptions(text_field="text", splits=HALVES, shard_bytes=1000, document="line")
    for workers in (1, 2, 3):
        prepare([folder], tmp_path / f"{workers}", options, workers=workers)
    one, two, three = (files(tmp_path / f"{workers}") for workers in (1, 2, 3))
    assert one == two == three


def test_a_split_that_no_row_falls_into_is_refused(tmp_path: Path) -> None:
    rows = json_lines(tmp_path / "x.jsonl", ["one"])
    options = PrepareOptions(text_field="text", splits=HALVES)
    with pytest.raises(UserError, match=r"`splits`: \w+=0.5 of 1 document is none at all"):
        prepare([rows], tmp_path / "out", options, workers=1)


@pytest.mark.parametrize("name", ["x.txt", "x.txt.gz", "x.jsonl"])
def test_little_text_has_no_validation_and_says_so(tmp_path: Path, name: str) -> None:
    data = {
        "x.txt": b"a" * 20,
        "x.txt.gz": gzip.compress(b"some words " * 100),
        "x.jsonl": b'{"text": "a"}\n{"text": "b"}',
    }[name]
    options = PrepareOptions(text_field="text" if name == "x.jsonl" else None)
    source = write(tmp_path / name, data)
    with pytest.warns(TextWarning, match=r"validation=0.02 of \d documents? is none: .*train=1`$"):
        manifest = prepare([source], tmp_path / "out", options, workers=1)
    assert manifest.splits["validation"].num_tokens == 0 < manifest.splits["train"].num_tokens
    corpus = open_corpus(tmp_path / "out")
    config, note = without_validation(
        corpus, TrainConfig(corpus=str(tmp_path / "out"), output="x", seq_len=1)
    )
    assert (config.eval_every, note is not None) == (0, True)
    assert verify(tmp_path / "out").problems == ()
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(tmp_path / "out"))
    assert builder.info.splits["validation"].num_examples == 0
    assert len(list(builder.as_dataset(split="train"))) == 1


def test_files_behind_a_uri_are_read(tmp_path: Path) -> None:
    content = text(200_000).encode()
    write(tmp_path / "in/a b.txt", content)
    corpus = prepared(tmp_path, f"file://{tmp_path}/in", splits=TRAIN)
    assert documents(corpus, "train") == [content]
    assert [source.name for source in corpus.manifest.sources] == ["a b.txt"]
    many = write_many(tmp_path / "many")
    there = prepare([f"file://{many}"], tmp_path / "there", workers=1)
    assert prepare([many], tmp_path / "here", workers=1) == there


def test_rows_are_repaired(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    json_lines(folder / "a.jsonl", ROWS)
    write(folder / "b.txt.gz", gzip.compress(text(5000).encode()))
    write(folder / "c.txt", text(5000))
    options = PrepareOptions(text_field="text", splits=HALVES, shard_bytes=3000)
    prepare([folder], tmp_path / "c", options, workers=1)
    before = files(tmp_path / "c")
    bad = shard_files(tmp_path / "c")[:2]
    bad[0].write_bytes(bad[0].read_bytes()[:-1])
    bad[1].unlink()
    assert repair(tmp_path / "c", [folder]) == tuple(path.name for path in bad)
    assert files(tmp_path / "c") == before


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("x.gz", gzip.compress(b""), {}),
        ("x.txt", b"\n\n\n", {"document": "line"}),
        ("x.txt", b"\n\r\n\n", {"document": "blank_line"}),
        ("x.jsonl", b'{"text": ""}\n\n{"text": ""}\n', {"text_field": "text"}),
        ("x.jsonl", b"\n", {"text_field": "text"}),
        ("x.json", b"[]", {"text_field": "text"}),
    ],
)
def test_sources_without_a_byte_of_text_are_no_corpus(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], vocabulary: str
) -> None:
    write(tmp_path / "in" / name, content)
    options = {"vocabulary": vocabulary, "splits": TRAIN, **options}
    with pytest.raises(
        UserError, match=rf"no byte of text in 1 source, such as .*{name}; name others"
    ):
        prepare([tmp_path / "in"], tmp_path / "out", PrepareOptions(**options))
    assert not (tmp_path / "out").exists()
    write(tmp_path / "whole.txt", "text")
    prepare([tmp_path / "whole.txt"], tmp_path / "out", PrepareOptions(splits=TRAIN))
    whole = files(tmp_path / "out")
    with pytest.raises(UserError, match="the text is empty"):
        prepare([tmp_path / "in"], tmp_path / "out", PrepareOptions(**options), overwrite=True)
    assert files(tmp_path / "out") == whole


def test_what_only_reading_shows_leaves_nothing_in_the_way_of_the_remedy(tmp_path: Path) -> None:
    write(tmp_path / "x.txt", "one line")
    with pytest.raises(UserError, match=r"0.98 of 1 document is none at all"):
        prepare([tmp_path / "x.txt"], tmp_path / "out", PrepareOptions(document="line"))
    prepare([tmp_path / "x.txt"], tmp_path / "out", PrepareOptions(document="line", splits=TRAIN))


def test_an_output_that_is_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    write(tmp_path / "x.txt", "text")
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="out is a symbolic link to a directory that is not there"):
        prepare([tmp_path / "x.txt"], tmp_path / "out", PrepareOptions(splits=TRAIN))
