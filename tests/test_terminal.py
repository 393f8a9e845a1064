"""What is printed: no control code passes, and no character stops it."""

import io

import pytest

from pipeline.terminal import as_utf8, printable, show


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain: é 日本 🙂", None),
        ("two\nlines\tand a tab", None),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("back\rforth\b", "back\\rforth\\x08"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("👩\u200d👧 \u0645\u200c\u0646", None),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_codes_become_escapes(text: str, shown: str | None) -> None:
    assert printable(text) == (text if shown is None else shown)
    stream = io.StringIO()
    show(text, file=stream)
    assert stream.getvalue() == (text if shown is None else shown) + "\n"


def test_what_a_stream_cannot_hold_becomes_escapes() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show("é🙂", file=stream)
    assert stream.buffer.getvalue() == b"\\xe9\\U0001f642\n"  # type: ignore[attr-defined]


def test_names_are_utf8() -> None:
    assert as_utf8("é") == "é"
    assert as_utf8("\udcff") == "\udcff"
