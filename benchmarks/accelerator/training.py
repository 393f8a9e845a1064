"""Runs of `textreel train` that the checks look at: processes of their own, and their reports."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "trainer.task"]
ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1"}


def start(flags: list[str], environment: dict[str, str] | None = None) -> "subprocess.Popen[str]":
    """Starts the command; `environment` is added to this process's."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [*COMMAND, *flags],
        env={**os.environ, "PYTHONPATH": path, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def train(flags: list[str], environment: dict[str, str] | None = None) -> None:
    """Runs the command to its end.

    Raises:
        RuntimeError: it failed; with the last line that it wrote.
    """
    with start(flags, environment) as process:
        _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err.strip().rpartition("\n")[2][-300:])


def reports(run: Path) -> list[dict[str, Any]]:
    """What a run has reported of its training, in order."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line.get("kind") == "train"]
