"""Passages: shard and token -> the bytes of a source, in every kind of source."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from corpora import TRAIN, make, prepared, text, tokens_of, write
from samples import json_lines, parquet

from pipeline import Corpus
from pipeline.auditing import passages
from pipeline.auditing.passages import Passage, find_passages, read_tokens
from pipeline.auditing.trace import trace

VOCABULARIES = ["byte", "char"]


def found(corpus: Corpus, first: int, stop: int, *, index: int = 0) -> tuple[Passage, ...]:
    shard = corpus.splits["train"].shards[index]
    return find_passages(corpus, shard, first, read_tokens(corpus, shard, first, stop))


def test_tokens_are_read_from_any_to_any(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(400), record_tokens=7, splits=TRAIN, vocabulary="char")
    (shard,), tokens = corpus.splits["train"].shards, tokens_of(corpus, "train")
    for first in range(0, len(tokens), 5):
        for stop in range(first + 1, len(tokens) + 1, 6):
            np.testing.assert_array_equal(
                read_tokens(corpus, shard, first, stop), tokens[first:stop]
            )


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_token_of_files_is_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vocabulary: str
) -> None:
    """One by one; a separator is no text."""
    monkeypatch.setattr(passages, "_CHUNK_TOKENS", 11)
    contents = {"a": "a𝄞b\n", "b": "日", "c": "x" * 20}
    for name, content in contents.items():
        write(tmp_path / "in" / name, content)
    corpus = prepared(
        tmp_path, str(tmp_path / "in"), vocabulary=vocabulary, record_tokens=5, splits=TRAIN
    )
    first = 0
    for name, content in contents.items():
        start = 0
        symbols = list(content) if vocabulary == "char" else [bytes([b]) for b in content.encode()]
        for symbol in symbols:
            stop = start + (len(symbol.encode()) if isinstance(symbol, str) else 1)
            expected = (Passage(source=name, start=start, stop=stop),)
            assert found(corpus, first, first + 1) == expected
            first, start = first + 1, stop
        assert found(corpus, first, first + 1) == ()
        first += 1
    assert [p.source for p in found(corpus, 0, first)] == list(contents)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_rows_are_named(tmp_path: Path, vocabulary: str) -> None:
    texts = [f"row {index} " + text(30, seed=index) for index in range(200)]
    corpus = prepared(
        tmp_path,
        parquet(tmp_path / "x.parquet", texts),
        splits=TRAIN,
        text_field="text",
        vocabulary=vocabulary,
        shard_bytes=2000,
        record_tokens=100,
    )
    for window in trace(corpus, "train", step=3, seq_len=50, batch_size=16):
        for passage, part in zip(
            window.passages, (p for p in window.text.split("\0") if p), strict=True
        ):
            row = int(passage.document.removeprefix("row "))
            assert (
                texts[row].encode()[passage.start : passage.stop].decode("utf-8", "ignore") in part
            )
            assert part.strip("\ufffd") in texts[row]


def test_lines_and_rows_of_many_splits_are_named_as_near_as_may_be(tmp_path: Path) -> None:
    lines = prepared(tmp_path, write(tmp_path / "x", "ab\n\ncd\n"), document="line", splits=TRAIN)
    assert found(lines, 0, 6) == (
        Passage(source="x", start=0, stop=2, document="document 0 of those from bytes 0-6"),
        Passage(source="x", start=0, stop=1 + 1, document="document 2 of those from bytes 0-6"),
    )
    halves = {"train": 0.5, "test": 0.5}
    rows = prepared(
        tmp_path / "rows",
        json_lines(tmp_path / "x.jsonl", [f"{number:04}" for number in range(50)]),
        text_field="text",
        splits=halves,
    )
    size = (tmp_path / "x.jsonl").stat().st_size
    assert [passage.document for passage in found(rows, 0, 7)] == [
        f"document {number} of those from bytes 0-{size - 1} that are in this split"
        for number in range(2)
    ]


def test_compressed_text_is_placed_in_its_text(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    contents = {f"{index}.gz": text(900, seed=index).encode() for index in range(9)}
    for name, content in contents.items():
        write(folder / name, gzip.compress(content))
    corpus = prepared(tmp_path, str(folder), splits=TRAIN)
    for window in trace(corpus, "train", step=1, seq_len=100, batch_size=8):
        parts = [contents[p.source][p.start : p.stop] for p in window.passages]
        assert b"".join(parts).decode("utf-8", "replace") == window.text.replace("\0", "")


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_a_row_with_the_separator_in_it_is_placed_with_a_doubt(
    tmp_path: Path, vocabulary: str
) -> None:
    """It looks like many documents, so that whatever follows is counted too far."""
    json_lines(tmp_path / "in/a.jsonl", ["one", "two\0\0\0\0\0\0\0", "three"])
    write(tmp_path / "in/b.txt.gz", gzip.compress(b"four\0"))
    corpus = prepared(
        tmp_path, str(tmp_path / "in"), vocabulary=vocabulary, splits=TRAIN, text_field="text"
    )
    tokens = corpus.splits["train"].num_tokens
    doubts = set()
    for first in range(tokens):
        for passage in found(corpus, first, first + 1):
            assert passage.source in ("a.jsonl", "b.txt.gz")
            doubts.add("not exact: the text has U+0000" in passage.document)
    assert doubts == {True}
    assert len(trace(corpus, "train", step=0, seq_len=tokens - 1, batch_size=1)) == 1


def test_without_it_there_is_no_doubt(tmp_path: Path) -> None:
    corpus = prepared(
        tmp_path, json_lines(tmp_path / "a.jsonl", ["one", "two"]), splits=TRAIN, text_field="text"
    )
    assert {passage.document for passage in found(corpus, 0, 8)} == {
        f"document {index} of those from bytes 0-31" for index in (0, 1)
    }
