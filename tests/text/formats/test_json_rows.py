"""How JSON is told, and the text of a row."""

import json
from typing import Any

import pytest

from pipeline.text.bad_rows import RowError
from pipeline.text.formats.json_rows import (
    ARRAY,
    LINES,
    OBJECT,
    has_object_lines,
    json_shape,
    parse_json,
    text_of_row,
    texts_of_lines,
)

ROW = {"text": "a", "n": [1, {"x": "}\n{"}]}


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', LINES),
        ('{"text": "a"}', LINES),
        ('\ufeff\n {"text": "a"}\r\n', LINES),
        ("{}\n", LINES),
        ('[{"text": "a"}]', ARRAY),
        ('\ufeff[\n  {"text": "a"}\n]', ARRAY),
        *[(json.dumps(ROW, indent=indent), OBJECT) for indent in (0, 1, "\t")],
        ('{"text": "a",\n "b": 1}', OBJECT),
        ('{"text": a}\n{"text": "b"}', ""),
        ("", ""),
        ("[Chapter 1]\n", ""),
        ("[1, 2]", ""),
        ("{{ template }}\n", ""),
        ('"text"', ""),
        ("A text", ""),
    ],
)
def test_the_shape_of_a_text(text: str, shape: str) -> None:
    assert json_shape(text.encode(), is_whole=True) == shape


def test_the_shape_of_a_long_line() -> None:
    assert json_shape(b'{"text": "' + b"a" * 1000, is_whole=False) == LINES
    assert json_shape(b"{ text " + b"a" * 1000, is_whole=False) == ""
    assert json_shape(b"\xff{", is_whole=False) == ""
    assert json_shape(b'{"text": "\xff"}\n', is_whole=False) == ""


def test_rows_without_a_field_are_told_by_two_lines() -> None:
    assert has_object_lines(b'{"a": 1}\n\n{"b": 1}\n')
    assert not has_object_lines(b'{"a": 1}\n')
    assert not has_object_lines(b'{\n"a": 1}\n')
    assert not has_object_lines(b"[1]\n[2]\n")


def test_numbers_of_any_length_are_numbers() -> None:
    digits = "9" * 5000
    assert (
        parse_json(f'{{"text": "a", "n": {digits}, "m": [-{digits}, {digits}.5]}}')["text"] == "a"
    )
    with pytest.raises(json.JSONDecodeError, match="Extra data"):
        parse_json("{} {}")


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        ({"a": {"b": "inner"}}, "a.b", b"inner"),
        ({"a": {"b": "inner"}, "a.b": "flat"}, "a.b", b"flat"),
        ({"a": {"b": {"c": "deep"}}}, "a.b.c", b"deep"),
    ],
)
def test_dots_lead_to_a_field(row: dict[str, Any], field: str, text: bytes) -> None:
    assert text_of_row(0, row, field) == text


def test_lines_that_are_a_row_each_are_read_at_once() -> None:
    rows = [{"text": "a"}, {"n": [1, {}], "text": "日\ud83d\ude00\n"}, {"text": ""}, {"text": "b "}]
    lines = [json.dumps(row, ensure_ascii=ascii).encode() for row in rows[:1] for ascii in (1, 0)]
    lines += [b'{"n": [1, {}], "text": "\xe6\x97\xa5\\ud83d\\ude00\\n"}\r', b'{"text":""} \t']
    assert texts_of_lines(lines, "text") == [b"a", b"a", "日😀\n".encode(), b""]
    nested = [b'{"a": {"b": "inner"}}', b'{"a": {"b": "inner"}, "a.b": "flat"}']
    assert texts_of_lines(nested, "a.b") == [b"inner", b"flat"]
    assert texts_of_lines([], "text") == []


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b' {"text": "a"}',
        b'\xef\xbb\xbf{"text": "a"}',
        b'{"text": "a"} {}',
        b'{"text": "a"}\x0b',
        b'{"text": "a"}\xc2\xa0',
        b'{"text": "a"',
        b'{"text": "\xff"}',
        b'{"text": "\\ud83d"}',
        b'{"text": 1}',
        b'{"text": null}',
        b'{"text": {"text": "a"}}',
        b'{"a": "text"}',
        b'"text"',
        b'["text"]',
        b"7",
        b"null",
        b"[" * 10_000,
        b'{"n": ' + b"9" * 5000 + b', "text": "a"}',
    ],
)
def test_a_line_that_is_anything_else_is_left_to_who_says_what_it_is(line: bytes) -> None:
    assert texts_of_lines([b'{"text": "a"}', line], "text") is None


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ({"a": {"b": "x"}}, "a.c", "no field 'a.c'; the fields are: 'a'"),
        ({"a": "x"}, "a.b", "no field 'a.b'; the fields are: 'a'"),
        ({"a": None}, "a.b", "no field 'a.b'"),
        ({"a": {"b": 1}}, "a.b", "the field 'a.b' is not a text: 1"),
        ([], "a", "not a JSON object but list"),
    ],
)
def test_a_row_without_a_text_says_so(row: Any, field: str, message: str) -> None:
    with pytest.raises(RowError, match=message):
        text_of_row(0, row, field)
