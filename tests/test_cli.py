"""The command line: exit codes, what follows `--`, and no tracebacks."""

import argparse
from pathlib import Path

import pytest
from corpora import write
from terminal import run_program, textreel

from pipeline.cli import build_parser, parse_arguments


def ends_with(raised: str) -> str:
    """The exit code and the standard error of a command that raises something."""
    return run_program(f"""
import contextlib, io
from pipeline import cli
from pipeline.errors import OptionError, UserError
from absl.flags import argparse_flags

def run(arguments):
    {raised}

def build_parser():
    parser = argparse_flags.ArgumentParser()
    parser.set_defaults(run=run)
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
        ("raise OptionError('`x` is wrong')", "2 textreel: error: `x` is wrong\n"),
        ("open('/none/x')", "1 textreel: error: /none/x: no such file or directory\n"),
        (
            "raise KeyboardInterrupt",
            "130 \ntextreel: interrupted; the same command goes on where it was\n",
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


def test_a_command_must_be_named() -> None:
    result = textreel()
    assert result.returncode == 2
    assert "COMMAND" in result.stderr
    assert "Traceback" not in result.stderr


COMMANDS = ["prepare", "plan", "inspect", "verify", "repair", "index", "trace"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command in build_parser().format_help()
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([command, "--help"])
    assert ended.value.code == 0
    assert f"{command} [-h]" in capsys.readouterr().out


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
