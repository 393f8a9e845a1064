"""Starts the original and textreel, and reads what they print."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORIGINAL = [sys.executable, str(HERE / "peers" / "original.py")]
PREPARE = [sys.executable, "-m", "pipeline", "prepare"]
TRAIN = [sys.executable, "-m", "trainer.task", "--sample_tokens=0"]
# The model, windows and batches of the original.
SAME_TASK = ["--targets=last", "--seq_len=40", "--stride=3", "--units=128", "--batch_size=128"]


def start(command: list[str]) -> "subprocess.Popen[str]":
    """Starts a command whose output comes line by line."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(HERE.parent.parent),
            "PYTHONUNBUFFERED": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        },
    )


def lines(command: list[str]) -> Iterator[str]:
    """The lines that a command prints, as they come; closing the iterator ends the command.

    Raises:
        RuntimeError: it failed.
    """
    with start(command) as process:
        try:
            yield from process.stdout
        except GeneratorExit:
            process.kill()
            return
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")


def run(command: list[str]) -> list[str]:
    """All the lines that a command prints."""
    return list(lines(command))


def original_rows(*options: str) -> list[dict]:
    """The reports of a run of the original."""
    return [json.loads(line) for line in run([*ORIGINAL, *options]) if line.startswith("{")]


def peak_megabytes(command: list[str]) -> float:
    """The peak resident memory of one process.

    Raises:
        RuntimeError: it failed.
    """
    process = start(command)
    for _ in process.stdout:
        pass
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with {process.returncode}")
    return usage.ru_maxrss * 1024 / 1e6
