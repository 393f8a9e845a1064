"""The command line: exit codes, what follows `--`, and no tracebacks."""

import argparse
import re
from pathlib import Path

import pytest
from corpora import write
from terminal import run_program, textreel

from pipeline.cli import build_parser, parse_arguments


def ends_with(raised: str, *, resumes: bool = False) -> str:
    """The exit code and the standard error of a command that raises something."""
    return run_program(f"""
RESUMES = {resumes}
import contextlib, io
from pipeline import cli
from pipeline.errors import OptionError, UserError
from pipeline.parsing import CommandParser

def run(arguments):
    {raised}

def build_parser():
    parser = CommandParser()
    parser.add_argument("--x")
    parser.set_defaults(run=run, resumes=RESUMES)
    return parser

import sys
sys.argv = ["textreel"]
errors = io.StringIO()
try:
    with contextlib.redirect_stderr(errors):
        cli.main_with(build_parser)
except SystemExit as end:
    print(end.code, errors.getvalue(), end="")
""")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        ("pass", "0 "),
        ("raise UserError('it cannot work')", "1 textreel: error: it cannot work\n"),
        ("raise OptionError('`x` is wrong, `y`')", "2 textreel: error: --x is wrong, `y`\n"),
        ("open('/none/x')", "1 textreel: error: /none/x: no such file or directory\n"),
        (
            "raise KeyboardInterrupt",
            "130 \ntextreel: interrupted\n",
        ),
    ],
)
def test_what_a_user_did_ends_with_a_message(raised: str, expected: str) -> None:
    assert ends_with(raised) == expected


def test_a_defect_keeps_its_traceback(tmp_path: Path) -> None:
    program = "import sys; from pipeline import cli\n"
    program += "cli.main_with(lambda: (_ for _ in ()).throw(ZeroDivisionError('here')))"
    with pytest.raises(AssertionError, match=r"Traceback(.|\n)*ZeroDivisionError: here"):
        run_program(program)


def test_what_goes_on_when_it_is_called_again_says_so() -> None:
    assert ends_with("raise KeyboardInterrupt", resumes=True) == (
        "130 \ntextreel: interrupted; the same command goes on where it was\n"
    )


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_without_a_command_it_says_what_to_do(arguments: list[str]) -> None:
    result = textreel(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "\n    verify " in result.stdout
    assert result.stdout.endswith("first:  python -m pipeline prepare YOUR_TEXT -o CORPUS\n")
    assert "absl" not in result.stdout


def test_the_version_is_told_with_those_of_the_libraries() -> None:
    result = textreel("--version")
    assert re.fullmatch(
        r"textreel .+ \(Python 3\.\d+\.\d+, tensorflow 2\..+, keras 3\..+, numpy 2\..+\)\n",
        result.stdout,
    )


def test_absl_flags_are_taken_and_not_shown() -> None:
    result = textreel("--verbosity=1", "help", "verify")
    assert result.returncode == 0
    assert "verbosity" not in result.stdout


COMMANDS = ["prepare", "plan", "inspect", "verify", "repair", "index", "trace", "help"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command in build_parser().format_help()
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: python -m pipeline {command} " in capsys.readouterr().out


def parsed(*argv: str) -> argparse.Namespace:
    return parse_arguments(build_parser(), list(argv))


def test_what_follows_two_dashes_is_for_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("prepare", "a", "--output", "b")
    assert parsed(*arguments).engine_options == []
    given = parsed(*arguments, "--engine", "beam", "--", "--runner=x", "--", "y")
    assert (given.sources, given.engine_options) == (["a"], ["--runner=x", "--", "y"])
    assert parsed(*arguments, "--engine", "beam", "--").engine_options == []
    for wrong in ((*arguments, "--", "x"), ("verify", "corpus", "--", "x")):
        with pytest.raises(SystemExit):
            parsed(*wrong)
        assert "only `prepare --engine beam` takes any" in capsys.readouterr().err


def test_the_commands_one_after_the_other(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", "some text\n" * 2000)
    arguments = ("prepare", "TEXT", "--output", "OUT", "--shard_bytes", "5000")
    assert textreel(*arguments, cwd=tmp_path).returncode == 0
    for command, shown in (("inspect", "byte, 256 ids"), ("verify", "all is well")):
        result = textreel(command, "OUT", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert shown in result.stdout
