"""benchmarks: rounds that are stopped, the choice of rows, and figures of README and docs.

A figure that is a table's has a comment in its paragraph that says which cell:

    <!-- figure: 1.3 times | train.md | textreel train | ratio -->
    <!-- figure: 1.9 times | train.md | textreel train / Keras fit | float32 -->

The cell is found by its row, to a comma or its end, and by its column; of two rows, the first over
the second. What the cell says is rounded as the figure is; MB become the GB of the figure.
"""

import importlib
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MARK = re.compile(r"<!-- figure: ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) -->")


@pytest.fixture(name="rounds")
def fixture_rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`benchmarks/rounds.py`, as the benchmarks import it."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module("rounds")
    sys.modules.pop("rounds")


def number(text: str) -> float:
    """The first number of a text."""
    found = re.search(r"-?\d[\d,]*(\.\d+)?", text)
    assert found, f"no number in {text!r}"
    return float(found[0].replace(",", ""))


def cell(table: str, row: str, column: str) -> float:
    """The number in a cell of a Markdown file's tables."""
    columns: list[str] = []
    for line in table.splitlines():
        cells = [part.strip() for part in line.strip("|").split("|")]
        if not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells
        elif re.match(rf"{re.escape(row)}(,|$)", cells[0]) and column in columns:
            return number(cells[columns.index(column)])
    raise AssertionError(f"there is no row {row!r} with a column {column!r}")


def marks_of(paragraph: str) -> list[tuple[str, ...]]:
    """Figure, table, row and column of each mark."""
    return [tuple(part.strip() for part in found) for found in MARK.findall(paragraph)]


def wrong_figures(page: str) -> list[str]:
    """What is wrong with the marked figures of a page."""
    wrong = []
    for paragraph in page.split("\n\n"):
        said = " ".join(MARK.sub("", paragraph).split())
        for figure, table, rows, column in marks_of(paragraph):
            if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d])", said):
                wrong.append(f"{figure} is marked, but its paragraph does not say it")
                continue
            content = (RESULTS / table).read_text()
            first, _, second = rows.partition(" / ")
            value = cell(content, first, column)
            value /= cell(content, second, column) if second else 1
            value /= 1000 if figure.endswith(" GB") else 1
            digits = len(re.sub(r"[^\d.]", "", figure).partition(".")[2])
            if round(value, digits) != number(figure):
                wrong.append(f"{figure}, but {table} has {value:g}: {rows}, {column}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_figures_are_those_of_the_tables(page: Path) -> None:
    """Every marked figure of README and docs."""
    text = page.read_text()
    assert wrong_figures(text) == []
    assert text.count("<!-- figure:") == len(MARK.findall(text)), "a mark is not of this form"


def test_some_figures_are_marked() -> None:
    """The pages that boast say of which table."""
    assert sum(len(MARK.findall(page.read_text())) for page in PAGES) >= 4


def test_a_wrong_figure_is_found() -> None:
    """What no table says, and what a paragraph does not say."""
    mark = "<!-- figure: {} | train.md | textreel train | ratio -->"
    right = f"{cell((RESULTS / 'train.md').read_text(), 'textreel train', 'ratio')} times"
    assert wrong_figures(f"It is {right} as fast. {mark.format(right)}") == []
    assert "train.md has" in wrong_figures(f"99 times as fast {mark.format('99 times')}")[0]
    assert "does not say" in wrong_figures(f"fast {mark.format(right)}")[0]


def test_stopped_rounds_keep_what_they_have(
    rounds: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """A time limit's SIGTERM in the second round; what failed is told once."""
    calls: list[str] = []

    def measure(command: list[str]) -> int:
        calls.append(command[0])
        if command[0] == "bad":
            raise RuntimeError("no such module")
        if len(calls) == 5:
            signal.raise_signal(signal.SIGTERM)
        return len(calls)

    commands = {"one": ["a"], ("two", "float32"): ["b"], "three": ["bad"]}
    before = signal.getsignal(signal.SIGTERM)
    measured = rounds.measure_in_rounds(commands, measure, rounds=5, show="{} units".format)
    assert measured.results == {"one": [1, 4], ("two", "float32"): [2]}
    assert measured.failed == {"three": "no such module"}
    assert measured.rounds_text == "medians of 1 to 2 rounds (stopped before the last)"
    assert signal.getsignal(signal.SIGTERM) is before
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "round 1: one: 1 units",
        "round 1: two, float32: 2 units",
        "round 1: three: does not run here: no such module",
        "round 2: one: 4 units",
    ]


def test_rounds_that_end(rounds: ModuleType) -> None:
    """All rounds, and the choice by `--only`."""
    commands = {("PyTorch", "float32"): ["a"], ("Keras", "float32"): ["b"]}
    only = rounds.chosen(commands, ["torch"])
    assert list(only) == [("PyTorch", "float32")]
    assert rounds.chosen(commands, None) == commands
    with pytest.raises(SystemExit, match="--only jax: none of PyTorch, float32; Keras, float32"):
        rounds.chosen(commands, ["jax"])
    measured = rounds.measure_in_rounds(only, len, rounds=5)
    assert measured.results == {("PyTorch", "float32"): [1] * 5}
    assert measured.rounds_text == "medians of 5 rounds"


def test_a_part_does_not_replace_the_table(
    rounds: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`NAME.partial.md` beside the whole one."""
    monkeypatch.setattr(rounds, "RESULTS", tmp_path)
    rounds.write_table("train", ["whole"], whole=True)
    rounds.write_table("train", ["part"], whole=False)
    assert (tmp_path / "train.md").read_text() == "whole\n"
    assert (tmp_path / "train.partial.md").read_text() == "part\n"
