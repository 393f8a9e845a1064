"""The example of `docs/fit.md`, killed: its weights are those of a training never stopped."""

import json
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from training import ROOT, run_child, start_child

from pipeline import Corpus, PrepareOptions, open_corpus, prepare

# Smaller than the example, and killed at the end of a batch; at the end it leaves its weights.
KILLED = """
import os
import signal
import sys
import pipeline.keras

class ResumeData(pipeline.keras.ResumeData):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self.batches += 1
        if self.batches == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

pipeline.keras.ResumeData = ResumeData
"""
SAVED = """
import numpy as np
np.savez(sys.argv[2], *[v.numpy() for v in model.weights + model.optimizer.variables])
print(resume.step, resume.batches)
"""


@pytest.fixture(scope="module")
def real_text(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A corpus of sources of Python's own."""
    output = tmp_path_factory.mktemp("real") / "CORPUS"
    sources = sorted(Path(json.__file__).parent.glob("*.py"))
    prepare(sources, output, PrepareOptions(), workers=1)
    return open_corpus(output)


def program(corpus: Corpus, directory: Path, save_freq: str) -> str:
    """The example, with an epoch of 10 batches and a small model."""
    text = (ROOT / "docs/fit.md").read_text()
    (code,) = [c for c in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "ResumeData" in c]
    for old, new in {
        '"CORPUS"': repr(corpus.directory),
        '"BACKUP"': repr(f"{directory}/BACKUP"),
        "save_freq=500": f"save_freq={save_freq}",
        "steps_per_epoch=1000, epochs=20": "steps_per_epoch=10, epochs=3, verbose=0",
        "LSTM(256": "LSTM(8",
        "batch_size=64": "batch_size=8",
    }.items():
        assert old in code
        code = code.replace(old, new)
    return KILLED + code + SAVED


def weights(path: Path) -> list[bytes]:
    with np.load(path) as arrays:
        return [arrays[name].tobytes() for name in arrays]


@pytest.mark.parametrize(
    ("save_freq", "kills", "step"), [('"epoch"', [14, 9], 10), ("3", [14, 5], 15)]
)
def test_a_killed_fit_ends_as_one_that_was_not(
    real_text: Corpus, tmp_path: Path, save_freq: str, kills: list[int], step: int
) -> None:
    code = program(real_text, tmp_path, save_freq)
    run_child(code, "0", str(tmp_path / "straight.npz"))
    for kill in kills:
        with start_child(code, str(kill), "") as child:
            child.communicate(timeout=200)
        assert child.returncode == -signal.SIGKILL
    said = run_child(code, "0", str(tmp_path / "killed.npz"))
    assert said.split() == [str(step), str(30 - step)]
    assert weights(tmp_path / "killed.npz") == weights(tmp_path / "straight.npz")


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_fit_killed_at_any_time_ends_as_one_that_was_not(
    real_text: Corpus, tmp_path: Path
) -> None:
    code = program(real_text, tmp_path, "1")
    run_child(code, "0", str(tmp_path / "straight.npz"))
    backup, generator = tmp_path / "BACKUP/latest.weights.h5", random.Random(17)
    for index in range(20):
        output = tmp_path / f"{index}.npz"
        with start_child(code, "0", str(output)) as child:
            while child.poll() is None and not backup.exists():
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.5))
            child.kill()
        said = run_child(code, "0", str(output)) if not output.exists() else ""
        assert said, "killed too late"
        assert weights(output) == weights(tmp_path / "straight.npz")
