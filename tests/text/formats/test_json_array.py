"""JSON arrays: element by element, whatever lies in them, as `json` reads them whole."""

import gzip
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from corpora import TRAIN, documents, prepared, write
from mutations import mutated_bytes
from samples import each_of

from pipeline import UserError
from pipeline.text.bad_rows import RowError
from pipeline.text.formats import json_array
from pipeline.text.formats.json_array import read_json_array

ROWS = [
    {"text": 'one ] } , " \\ { ['},
    {"n": [1.5e300, -3, None, True, [], {}], "text": "日本 😀 \u0001"},
    {"text": "", "more": {"text": "inner"}},
    {"text": "x" * 1000},
]


def texts(data: bytes, size: int = 7, **limits: int) -> list[bytes]:
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    rows = each_of(read_json_array(blocks, "text", **limits))
    assert [row for row, _ in rows] == list(range(len(rows)))
    return [text for _, text in rows]


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10**6])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 1])
def test_every_element_is_a_row(size: int, ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(ROWS, ensure_ascii=ascii_only, indent=indent).encode()
    wanted = [str(row["text"]).encode() for row in ROWS]
    assert texts(data, size) == wanted
    assert texts(b"\xef\xbb\xbf \n" + data + b"\r\n ", size) == wanted
    assert texts(b" [ ] ", size) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('[{"text": "a"}', r"row 1 .*: not valid JSON: ',' is expected, but the file ends"),
        ('[{"text": "a"} {"text": "b"}]', r"row 1 .*: not valid JSON: ',' is expected, but '\{'"),
        ('[{"text": "a"},]', "row 1 .*: not valid JSON: Expecting value"),
        ('[{"text": "a"}] x', "row 0 .*: not valid JSON: the end of the file is expected, but 'x'"),
        ('[{"text": "a"}, {"text": }, {"text": "c"}]', "row 1 .*: not valid JSON: Expecting value"),
        ('[{"text": "a"}, {"text": "b', "row 1 .*: not valid JSON: Unterminated string"),
        ('[{"text": "a"}, 5]', "row 1 .*: not a JSON object but int"),
        ('[{"text": "a"}, {"body": 1}]', "row 1 .*: no field 'text'; the fields are: 'body'"),
        (b'[{"text": "a"}]\xe6\x97', "row 0 .*: not UTF-8 at byte 15 of the file"),
        (b'[{"text": "a"}, {"text": "\xff"}]', "row 1 .*: not UTF-8 at byte 26 of the file"),
    ],
)
def test_a_bad_element_is_named(tmp_path: Path, data: str | bytes, message: str) -> None:
    path = write(tmp_path / "x.json", data)
    with pytest.raises(UserError, match=f"x.json, {message}"):
        prepared(tmp_path, path, splits=TRAIN, text_field="text")


def test_a_long_element_is_refused_before_it_is_held() -> None:
    data = json.dumps([{"text": "a"}, {"text": "b" * 10_000}]).encode()
    assert len(texts(data, max_row_bytes=20_000)) == 2
    with pytest.raises(RowError, match="longer than 1000 bytes"):
        texts(data, max_row_bytes=1000)


def test_memory_is_that_of_an_element() -> None:
    element = json.dumps({"text": "some text " * 1000}).encode()
    blocks = (b"[" if index == 0 else b"," for index in range(2000))
    tracemalloc.start()
    try:
        read = read_json_array((each for mark in blocks for each in (mark, element)), "text")
        with pytest.raises(RowError, match="the file ends"):
            for _ in read:
                pass
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_long_element_is_parsed_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    decode = json_array.decode_json
    monkeypatch.setattr(
        json_array, "decode_json", lambda *given: calls.append(given[1]) or decode(*given)
    )
    data = json.dumps([{"text": "a" * 2**20}, {"text": "b"}]).encode()
    assert len(texts(data, 1000)) == 2
    assert len(calls) < 16


def test_what_is_no_json_is_said_at_once() -> None:
    blocks = iter([b'[{"text": a}, ', *[b'{"text": "b"}, ' * 100] * 100])
    with pytest.raises(RowError, match="not valid JSON: Expecting value"):
        each_of(read_json_array(blocks, "text"))
    assert len(list(blocks)) > 95


@pytest.mark.parametrize("count", [300, pytest.param(20_000, marks=pytest.mark.campaign)])
def test_it_takes_what_json_takes(count: int) -> None:
    draw = random.Random(5)
    for data in mutated_bytes(json.dumps(ROWS, ensure_ascii=False).encode(), 5, count):
        try:
            whole: Any = json.loads(data.decode("utf-8-sig"), parse_int=float)
            wanted = [row["text"].encode() for row in whole]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            wanted = None
        try:
            got: Any = texts(data, draw.choice((1, 5, 1000)))
        except RowError:
            got = None
        assert got == wanted


def test_a_compressed_array_is_one_too(tmp_path: Path) -> None:
    path = write(tmp_path / "x.json.gz", gzip.compress(json.dumps(ROWS).encode()))
    corpus = prepared(tmp_path, path, splits=TRAIN, text_field="text")
    assert documents(corpus, "train") == [str(row["text"]).encode() for row in ROWS]
