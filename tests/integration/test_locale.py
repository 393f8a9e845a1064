"""The same corpus in any locale, and no message that a terminal cannot show."""

import os
import subprocess
import sys
from pathlib import Path

from corpora import write
from terminal import ENVIRONMENT

# Without UTF-8 mode (PEP 540), and without a change to another locale (PEP 538).
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=cwd,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_a_corpus_is_the_same_in_an_ascii_locale(tmp_path: Path) -> None:
    write(tmp_path / "in/é 日本.txt", "one — two é\n")
    os.rename(
        tmp_path / "in/é 日本.txt", os.path.join(os.fsencode(tmp_path), b"in/\xff \xc3\xa9.txt")
    )
    write(tmp_path / "in/é 日本.txt", "one — two é\n" * 2)
    arguments = ("prepare", "in", "--splits", "train=1", "--document", "—", "--output")
    for output, environment in (("utf8", {"LC_ALL": "C.UTF-8"}), ("ascii", ASCII)):
        result = run(*arguments, output, cwd=tmp_path, **environment)
        assert result.returncode == 0, result.stderr
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("utf8", "ascii")
    ]
    assert files[0] == files[1]


def test_escapes_in_names_and_characters_beyond_ascii_are_shown_as_such(tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07é.txt"
    write(tmp_path / name, "text\n" * 99)
    result = run(
        "prepare", name, "--output", "c\x1b[2J", "--splits", "train=1", cwd=tmp_path, **ASCII
    )
    assert result.returncode == 0, result.stderr
    shown = result.stdout + run("inspect", "c\x1b[2J", cwd=tmp_path, **ASCII).stdout
    shown += run("prepare", "no\x1b[1m", "--output", "d", cwd=tmp_path, **ASCII).stderr
    assert b"\x1b" not in shown
    assert b"\x07" not in shown
    assert b"c\\x1b[2J" in shown
    assert b"no\\x1b[1m" in shown


def test_help_passes_a_strict_terminal(tmp_path: Path) -> None:
    for command in ("prepare", "plan", "inspect", "verify", "repair", "trace", "index"):
        result = run(command, "--help", cwd=tmp_path, **ASCII, PYTHONIOENCODING="ascii:strict")
        assert result.returncode == 0, result.stderr


def test_names_that_are_no_utf8_pass_a_strict_terminal(tmp_path: Path) -> None:
    for name in (b"\xff.txt", b"in/\xfe.gz"):
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"text \xff")
    strict = {**ASCII, "PYTHONIOENCODING": "ascii:strict"}
    made = run("prepare", "\udcff.txt", "--output", "c\udcff", "--splits", "train=1",
               cwd=tmp_path, **strict)  # fmt: skip
    assert (made.returncode, made.stderr) == (0, b"")
    assert b"made the corpus c\\udcff;" in made.stdout
    for arguments, message in [
        (("\udcff.txt", "--vocabulary", "char"), b"/\\udcff.txt is not UTF-8 at byte 5"),
        (("in",), b"/in/\\udcfe.gz is no .gz file"),
    ]:
        splits = ("--splits", "train=1")
        result = run("prepare", *arguments, "--output", "d", *splits, cwd=tmp_path, **strict)
        assert result.returncode == 1
        assert message in result.stderr
        assert b"Traceback" not in result.stderr
