"""JSON Lines: a row a line, and lines that are none."""

from pathlib import Path

import pytest
from corpora import TRAIN, prepared, write
from samples import each_of

from pipeline import UserError
from pipeline.text.formats.json_lines import JsonLines, read_json_lines
from pipeline.text.pieces import Candidate, Reading, Source


def source_of(path: Path) -> Source:
    candidate = Candidate(
        path=str(path), name=path.name, source_bytes=path.stat().st_size, stem=str(path)
    )
    found = JsonLines.find(candidate, Reading(text_field="text"))
    assert found is not None
    return found


def test_each_line_is_a_row_but_blank_ones() -> None:
    data = b'\xef\xbb\xbf{"text": "one"}\n\n  \r\n{"n": [1], "text": "z\\u4e09"}\r\n{"text": ""}'
    for size in (1, 2, 7, 1000):
        blocks = [data[start : start + size] for start in range(0, len(data), size)]
        assert each_of(read_json_lines(blocks, "text")) == [
            (0, b"one"),
            (24, "z三".encode()),
            (55, b""),
        ]
    assert [data[position : position + 2] for position in (24, 55)] == [b'{"', b'{"']


def test_a_byte_order_mark_is_allowed_at_the_beginning_alone(tmp_path: Path) -> None:
    mark = b'\xef\xbb\xbf{"text": "a"}\n'
    assert each_of(read_json_lines([mark], "text")) == [(0, b"a")]
    with pytest.raises(ValueError, match="not valid JSON"):
        each_of(read_json_lines([mark], "text", 100))


def test_it_is_cut_after_lines(tmp_path: Path) -> None:
    source = source_of(write(tmp_path / "x.jsonl", b"1\n22\n" + b"3" * 100_000 + b"\n4"))
    assert [source.cut(offset, 0) for offset in (0, 1, 2, 4, 5, 100_006)] == [
        2,
        2,
        5,
        5,
        100_006,
        100_007,
    ]


def test_a_place_is_a_line_from_one(tmp_path: Path) -> None:
    lines = [b"x" * 30_000] * 9
    source = source_of(write(tmp_path / "x.jsonl", b"\n".join(lines)))
    for index in range(9):
        assert source.place_of(index * 30_001) == f"{source.path}, line {index + 1}"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"text": "a"}\n{"text": \n', r"x.jsonl, line 2: not valid JSON"),
        ('{"text": "a"}\n\n{"body": "a"}\n', r"line 3: no field 'text'; the fields are: 'body'"),
        ('{"text": 5}\n', r"line 1: the field 'text' is not a text: 5"),
        ("[1]\n", r"line 1: not a JSON object but list"),
        ('{"text": "\\ud800"}\n', r"line 1: the field 'text' has half a surrogate pair"),
        (b'{"text": "a"}\n{"text": "\xff"}\n', r"line 2: not UTF-8 at byte 24 of the file"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, lines: str | bytes, message: str) -> None:
    path = write(tmp_path / "x.jsonl", lines)
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, path, splits=TRAIN, text_field="text")
