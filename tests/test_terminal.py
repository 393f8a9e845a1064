"""What is printed: no control code passes, and no character stops it."""

import dataclasses
import io
import json
import math
import sys
from typing import NamedTuple

import pytest

from pipeline.terminal import as_utf8, printable, show, show_error, show_json, status


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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for stream, expected in (
        (Terminal(), "textreel: \x1b[31merror:\x1b[0m a\\x1b[2J\n"),
        (io.StringIO(), "textreel: error: a\\x1b[2J\n"),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        show_error("a\x1b[2J")
        assert stream.getvalue() == expected
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            stream = Terminal()
            show("a", file=stream, style="bold")
            assert stream.getvalue() == "a\n"


def test_a_status_stays_where_it_can_be_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, expected in (
        (Terminal(), "loading … \r\x1b[K".replace("… ", "…")),
        (io.StringIO(), "loading …\n"),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        with status("loading"):
            assert stream.getvalue().startswith("loading …")
        assert stream.getvalue() == expected
        with status("not this", shown=False):
            pass
        assert stream.getvalue() == expected


@dataclasses.dataclass
class Figures:
    loss: float
    split: tuple[str, ...]


class Pair(NamedTuple):
    first: int
    figures: Figures


def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    figures = Figures(loss=math.nan, split=("é\n", "b"))
    show_json({"pair": Pair(1, figures), "none": None, "by": {2: [True, math.inf, 0.5]}})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "pair": {"first": 1, "figures": {"loss": None, "split": ["é\n", "b"]}},
        "none": None,
        "by": {"2": [True, None, 0.5]},
    }
