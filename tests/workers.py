"""Two worker processes on loopback, and what one process alone would do."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from training import ROOT, tiny

from pipeline import Corpus
from trainer.run.checkpoint import newest_checkpoint

FLAGS = ["--layers=1", "--units=8", "--embedding_dim=4", "--seq_len=16", "--batch_size=8"]
FLAGS += ["--sample_tokens=4", "--sample_temperatures=0.5", "--log_every=4", "--save_every=8"]


class Pair:
    """Two workers that run `python -m trainer.task`, or other code with the same flags.

    `last` are flags of the second worker alone; None: it never comes.
    """

    def __init__(
        self,
        corpus: Corpus,
        run: Path,
        *flags: str,
        code: str | None = None,
        last: tuple[str, ...] | None = (),
    ) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        arguments = [corpus.directory, f"--output={run}", *FLAGS, *flags]
        self.fed = [run.parent / f"{run.name}-fed-{index}.npz" for index in range(2)]
        self.workers = []
        for index in range(1 if last is None else 2):
            command = ["-m", "trainer.task"] if code is None else ["-c", code, str(self.fed[index])]
            task = {"type": "worker", "index": index}
            description = json.dumps({"cluster": {"worker": addresses}, "task": task})
            paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
            self.workers.append(
                subprocess.Popen(
                    [sys.executable, *command, *arguments, *((last or ()) if index else ())],
                    env={
                        # Without the log level, the command imports TensorFlow as for a user.
                        **{k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
                        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                        "TF_CONFIG": description,
                        "TMPDIR": str(run.parent),
                    },
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def end(self) -> list[tuple[int, str, str]]:
        """Waits, and returns each worker's exit code, stdout and stderr."""
        ended = []
        try:
            for worker in self.workers:
                out, err = worker.communicate(timeout=200)
                ended.append((worker.returncode, out, err))
        finally:
            for worker in self.workers:
                worker.kill()
        return ended


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_checkpoint(run: Path, pair: Pair) -> None:
    deadline = time.monotonic() + 200
    while newest_checkpoint(run) is None and time.monotonic() < deadline:
        assert all(worker.poll() is None for worker in pair.workers), pair.end()
        time.sleep(0.02)


def step_of(run: Path) -> int:
    path = newest_checkpoint(run)
    assert path is not None
    return int(path.rpartition("-")[2])


def single(corpus: Corpus, run: Path, **changes: Any) -> Any:
    """The configuration of `FLAGS` for this process alone."""
    options = {"layers": 1, "units": 8, "embedding_dim": 4, "sample_tokens": 4, "save_every": 8}
    return tiny(corpus.directory, run, **{"dropout": 0.0, **options, **changes})
