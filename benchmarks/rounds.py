"""Rounds through all contenders in turn, so that none has the quieter machine.

A bar on standard error names the contender and the remaining time; every result is printed when it
is there. Ctrl-C, or the signal of a time limit, ends the rounds, and what was measured is kept.
"""

import argparse
import compileall
import dataclasses
import signal
import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from tqdm import tqdm

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")
HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PACKAGES = ("pipeline", "textreel", "trainer")
PRECISIONS = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Measured(Generic[Name, Result]):
    """What rounds gave.

    Attributes:
        results: of each contender, one a round.
        failed: why others did not run; no contender is in both.
        stopped: whether the rounds were ended before the last.
    """

    results: dict[Name, list[Result]]
    failed: dict[Name, str]
    stopped: bool

    @property
    def rounds_text(self) -> str:
        """`medians of 5 rounds`, and that they were stopped."""
        counts = sorted({len(runs) for runs in self.results.values()} or {0})
        text = f"medians of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} rounds"
        return f"{text} (stopped before the last)" if self.stopped else text


def compile_textreel() -> None:
    """Makes textreel's bytecode, as pip does with what it installs, the peers too.

    Python may be told to write none: then every process would compile all of its modules.
    """
    for package in PACKAGES:
        compileall.compile_dir(HERE.parent / package, quiet=2)


def measure_in_rounds(
    commands: dict[Name, list[str]],
    measure: Callable[[list[str]], Result],
    *,
    rounds: int,
    show: Callable[[Result], str] = str,
) -> Measured[Name, Result]:
    """Measures every contender once a round.

    Args:
        commands: of each contender.
        measure: a command -> what it measured; raises `RuntimeError` where that does not run.
        rounds: how often.
        show: a result -> what is printed of it.
    """
    compile_textreel()
    results: dict[Name, list[Result]] = {}
    failed: dict[Name, str] = {}
    turns = [(number, name) for number in range(1, rounds + 1) for name in commands]
    try:
        with ended_by_signals(), tqdm(turns, file=sys.stderr, unit="run") as bar:
            for number, name in bar:
                if name in failed:
                    continue
                title = name_text(name)
                bar.set_description(title)
                try:
                    measured = measure(commands[name])
                except RuntimeError as error:
                    failed[name] = str(error)
                    results.pop(name, None)
                    said = f"does not run here: {error}"
                else:
                    results.setdefault(name, []).append(measured)
                    said = show(measured)
                bar.write(f"round {number}: {title}: {said}", file=sys.stdout)
                sys.stdout.flush()
    except KeyboardInterrupt:
        return Measured(results, failed, stopped=True)
    return Measured(results, failed, stopped=False)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM, which `timeout` sends, raises KeyboardInterrupt like Ctrl-C."""

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def name_text(name: Hashable) -> str:
    """A contender's name on one line."""
    return ", ".join(name) if isinstance(name, tuple) else str(name)


def add_options(parser: argparse.ArgumentParser, *, precision: bool = False) -> None:
    """Adds `--rounds` and `--only`, and `--precision` where there is more than one."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="rows that hold one of these")
    if precision:
        parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=PRECISIONS)


def chosen(commands: dict[Name, Result], only: list[str] | None) -> dict[Name, Result]:
    """The contenders whose names hold a word of `--only`, whatever the case.

    Raises:
        SystemExit: a word is in no name.
    """
    names = {name: name_text(name).lower() for name in commands}
    for word in only or []:
        if not any(word.lower() in text for text in names.values()):
            raise SystemExit(f"--only {word}: none of {'; '.join(map(name_text, names))}")
    return {
        name: command
        for name, command in commands.items()
        if not only or any(word.lower() in names[name] for word in only)
    }


def write_table(name: str, lines: list[str], *, whole: bool) -> Path:
    """Writes `results/NAME.md`; `NAME.partial.md`, beside a whole one, where rows are missing."""
    path = RESULTS / (f"{name}.md" if whole else f"{name}.partial.md")
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines), f"\n-> {path}", sep="\n", flush=True)
    return path
