"""Program that kills a small training, by and by at each of its file operations, or at random.

    python tests/training_kills.py points STRIDE DIRECTORY
    python tests/training_kills.py random COUNT DIRECTORY

It trains once, and counts: files opened for writing, writes, fsyncs, renames, unlinks, directories,
events, and TensorFlow's own writing of a checkpoint as one. Then a child is killed before each
STRIDE-th of them, or COUNT children when a seeded clock says so, in TensorFlow too; the same
training starts again, to its end. It prints what is then not as in the straight run, one line each,
and how many children there were.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import corpora
import numpy as np
from fault_points import REAL_OPEN, Fault
from training import checkpoint_arrays, tiny

SEED = 16
OPTIONS: dict[str, Any] = {
    "layers": 1,
    "units": 8,
    "steps": 12,
    "save_every": 4,
    "keep_checkpoints": 2,
    "log_every": 3,
    "eval_every": 6,
    "sample_tokens": 0,
}
LOSSES = ("kind", "step", "tokens", "loss", "bits_per_byte", "gradient_norm", "learning_rate")


def install(fault: Fault) -> None:
    """Counts what is done through Python, and TensorFlow's writing of events and checkpoints."""
    import tensorflow as tf

    from trainer.reports.events import EventWriter

    fault.install()
    EventWriter._add = fault.counted(EventWriter._add)  # type: ignore[method-assign]
    tf.train.Checkpoint.write = fault.counted(tf.train.Checkpoint.write)


def start(corpus: str, run: Path, fault: Fault | None = None) -> int:
    """Trains in a child; returns its process."""
    process = os.fork()
    if process:
        return process
    code = 0
    try:
        from trainer.loop import train

        if fault is not None:
            install(fault)
        train(tiny(corpus, run, **OPTIONS), quiet=True)
        if fault is not None and fault.point == 0:
            with REAL_OPEN(run.parent / "count", "w") as file:
                file.write(str(fault.count))
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        code = 70
    os._exit(code)


def code_of(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def difference(run: Path, straight: Path) -> str:
    """What of a run is not as in another one; empty where nothing is."""
    from trainer.reports.metrics import read_metrics
    from trainer.run.checkpoint import find_checkpoint

    for which in ("newest", "best"):
        found = [find_checkpoint(one, which) for one in (run, straight)]
        if found[0].step != found[1].step or found[0].lost:
            return f"{which}: step {found[0].step}, lost {found[0].lost}"
        arrays = [checkpoint_arrays(one.path) for one in found]
        for name in arrays[0].keys() | arrays[1].keys():
            one, other = (np.asarray(values.get(name)) for values in arrays)
            if one.tobytes() != other.tobytes():
                return f"{which}: {name}"
    rows = [[tuple(map(e.get, LOSSES)) for e in read_metrics(one)] for one in (run, straight)]
    return "" if rows[0] == rows[1] else f"metrics: {rows[0]}"


def main(kind: str, number: int, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    splits = {"train": 0.9, "validation": 0.1}
    corpus = corpora.make(root, corpora.text(10_000), vocabulary="char", splits=splits).directory
    import trainer.loop  # before the forks, which then start at once  # noqa: F401

    straight, run = root / "straight", root / "run"
    assert code_of(start(corpus, straight, Fault(0, "kill"))) == 0
    num_points = int((root / "count").read_text())
    began = time.monotonic()
    assert code_of(start(corpus, root / "timed")) == 0
    duration, generator = time.monotonic() - began, random.Random(SEED)
    points = list(range(1, num_points + 1, number)) if kind == "points" else list(range(number))
    for point in points:
        shutil.rmtree(run, ignore_errors=True)
        if kind == "points":
            code = code_of(start(corpus, run, Fault(point, "kill")))
            if code != -signal.SIGKILL:
                print(f"point {point}: exit code {code}")
        else:
            process = start(corpus, run)
            time.sleep(generator.uniform(0.3, 1.0) * duration)
            os.kill(process, signal.SIGKILL)
            code_of(process)
        code = code_of(start(corpus, run))
        if code != 0:
            print(f"{kind} {point}: the same command once more: exit code {code}")
        elif found := difference(run, straight):
            print(f"{kind} {point}: {found}")
        sys.stdout.flush()
    print(f"{len(points)} of {num_points} points" if kind == "points" else f"{number} kills")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
