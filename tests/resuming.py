"""Prepares that run as processes of their own, to be stopped."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from terminal import ENVIRONMENT

from pipeline.preparing import journal

OPTIONS: dict[str, Any] = {"vocabulary": "char", "shard_bytes": 20_000, "record_tokens": 1000}


def start(sources: Path, output: Path, workers: int = 2) -> "subprocess.Popen[str]":
    """Starts `textreel prepare` as a child process, in a session of its own."""
    command: list[Any] = [sys.executable, "-m", "pipeline", "prepare", sources]
    command += ["--output", output]
    command += [f"--{name}={value}" for name, value in OPTIONS.items()] + [f"--workers={workers}"]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def num_finished(output: Path) -> int:
    return len(list((output / journal.FOLDER).glob("*tfrecord*.json")))


def wait_for_shards(output: Path, process: "subprocess.Popen[str]", number: int) -> None:
    while num_finished(output) < number and process.poll() is None:
        time.sleep(0.005)
