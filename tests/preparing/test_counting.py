"""Characters and samples of the text, against Python's own."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import text, write
from samples import json_lines

from pipeline.errors import UserError
from pipeline.preparing.counting import (
    SampleTask,
    count_code_points,
    find_code_points,
    sample_texts,
)
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Pieces, make_plan
from pipeline.text.sources import find_sources


def pieces_of(path: Path, **options: Any) -> list[Pieces]:
    chosen = PrepareOptions(splits={"train": 1.0}, **options)
    return list(make_plan(find_sources([path], reading=chosen.reading).sources, chosen))


@pytest.fixture(params=["file", "pieces", "line", "rows", "compressed"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[list[Pieces], Counter[str]]:
    """A text in every way that it may be read, and its characters."""
    content = text(5000)
    if request.param == "rows":
        rows = [text(100, seed=seed) for seed in range(50)]
        pieces = pieces_of(json_lines(tmp_path / "x.jsonl", rows), text_field="text")
        return pieces, Counter("\0".join(rows))
    if request.param == "compressed":
        path = write(tmp_path / "x.gz", gzip.compress(content.encode()))
        return pieces_of(path), Counter(content)
    path = write(tmp_path / "x", content)
    if request.param == "line":
        lines = content.split("\n")
        return pieces_of(path, document="line"), Counter("\0".join(lines))
    shard_bytes = 500 if request.param == "pieces" else None
    return pieces_of(path, shard_bytes=shard_bytes), Counter(content)


def test_every_character_is_found_and_counted(
    counted: tuple[list[Pieces], Counter[str]],
) -> None:
    shards, expected = counted
    done: list[int] = []
    found = np.unique(np.concatenate([find_code_points(pieces, done.append) for pieces in shards]))
    # The separator has an id whether it is counted or not.
    assert {chr(point) for point in found} - {"\0"} == set(expected) - {"\0"}
    assert found.dtype == np.uint32
    assert sum(done) <= sum(piece.source_bytes for pieces in shards for piece in pieces)
    counts: Counter[str] = Counter()
    for pieces in shards:
        points, times = count_code_points(pieces, done.append)
        assert np.all(np.diff(points.astype(np.int64)) > 0)
        counts.update({chr(point): int(n) for point, n in zip(points, times, strict=True)})
    del counts["\0"], expected["\0"]
    assert counts == expected


def test_text_that_is_not_utf8_is_placed(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"a" * 100_000 + b"\xff")
    with pytest.raises(UserError, match="x is not UTF-8 at byte 100000 "):
        find_code_points(pieces_of(path)[0], lambda num_bytes: None)
    rows = write(tmp_path / "lines", b"a\nb\n\xc3\nd\n")
    with pytest.raises(UserError, match="lines is not UTF-8 at byte 4 "):
        count_code_points(pieces_of(rows, document="line")[0], lambda num_bytes: None)


def sampled(pieces: Pieces, distance: int, text_bytes: int) -> list[bytes]:
    done: list[int] = []
    task = SampleTask(pieces=pieces, distance=distance, text_bytes=text_bytes)
    texts = sample_texts(task, done.append)
    assert sum(done) == sum(piece.source_bytes for piece in pieces)
    return texts


def test_samples_stand_at_even_distances(tmp_path: Path) -> None:
    """Over the ends of files, cut anywhere."""
    data = bytes(range(100))
    write(tmp_path / "in/a", data[:35]), write(tmp_path / "in/b", data[35:])
    (pieces,) = pieces_of(tmp_path / "in")
    assert sampled(pieces, 20, 5) == [data[start : start + 5] for start in range(0, 100, 20)]
    assert sampled(pieces, 30, 10) == [data[:10], data[30:35], data[60:70], data[90:]]
    assert sampled(pieces, 1000, 5) == [data[:5]]


def test_samples_of_many_documents_are_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "x", "".join(f"line {number:04}\n" for number in range(100)))
    (pieces,) = pieces_of(path, document="line")
    texts = sampled(pieces, 90, 7)
    assert texts == [f"line {number:04}".encode()[:7] for number in range(0, 100, 10)]


def test_after_long_blocks_samples_begin_where_a_file_does(tmp_path: Path) -> None:
    """Of a compressed file a block is one sample, however much longer than the distance it is."""
    data = bytes(range(97, 123)) * 10_000
    write(tmp_path / "in/a.gz", gzip.compress(data)), write(tmp_path / "in/b", data[:100])
    (pieces,) = pieces_of(tmp_path / "in")
    *compressed, first, second = sampled(pieces, 50, 5)
    assert compressed == [data[start : start + 5] for start in range(0, len(data), 64 * 1024)]
    assert (first, second) == (data[:5], data[50:55])
