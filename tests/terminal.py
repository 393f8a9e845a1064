"""The command line as a user meets it: processes of their own."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    # Beam's worker pool starts whatever `python` is found first.
    "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
}


def textreel(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[Any]":
    """Runs a command; what it printed is text, or bytes where its `input` is."""
    return _run("-m", "pipeline", *arguments, **options)


def textreel_without(
    package: str, *arguments: object, **options: Any
) -> "subprocess.CompletedProcess[Any]":
    """Runs a command where a package is not installed."""
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[0] = 'textreel'\n"
        "from pipeline import cli; cli.main_with(cli.build_parser)"
    )
    return _run("-c", program, *arguments, **options)


def run_program(program: str, *arguments: object) -> str:
    """Runs `python -c PROGRAM` to its end, and returns what it printed."""
    result = _run("-c", program, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def _run(*command: object, **options: Any) -> "subprocess.CompletedProcess[Any]":
    return subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=not isinstance(options.get("input"), bytes),
        env=ENVIRONMENT,
        check=False,
        **options,
    )
