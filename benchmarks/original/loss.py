"""The same loss at the same step: the original's model on the original's windows, by both."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from processes import PREPARE, SAME_TASK, TRAIN, original_rows, run

from pipeline import open_corpus

REPORT_STEPS = 100
LEARNING_RATE = 0.01  # and RMSprop: the original's own


@dataclasses.dataclass(frozen=True)
class Loss:
    """Mean training losses of stretches of steps, nats a character.

    Attributes:
        steps: the last step of each stretch.
        original: a list a seed, of a loss a stretch.
        ours: the same of textreel.
    """

    steps: list[int]
    original: list[list[float]]
    ours: list[list[float]]


def measure_loss(text: Path, folder: Path, num_seeds: int, num_steps: int) -> Loss:
    """Trains both with every seed, in turn."""
    corpus = folder / "one_shard"
    prepare = [*PREPARE, str(text), f"--output={corpus}", "--vocabulary=char", "--splits=train=1"]
    run([*prepare, "--shard_bytes=1000000000"])
    # One-hot input is an embedding whose table is the identity and stays so.
    size = open_corpus(corpus).vocabulary.size
    np.save(folder / "identity.npy", np.eye(size, dtype=np.float32))
    one_hot = [
        f"--pretrained_embeddings={folder / 'identity.npy'}",
        "--freeze_embeddings_steps=-1",
    ]
    update = ["--optimizer=rmsprop", f"--learning_rate={LEARNING_RATE}", "--clip_norm=0"]
    train = [*TRAIN, str(corpus), *SAME_TASK, *one_hot, *update]
    train += [f"--steps={num_steps}", f"--log_every={REPORT_STEPS}", "--eval_every=0"]
    original_options = [str(text), f"--learning_rate={LEARNING_RATE}", f"--steps={num_steps}"]
    original_options += [f"--report_every={REPORT_STEPS}"]
    original, ours = [], []
    for seed in range(num_seeds):
        rows = original_rows(*original_options, f"--seed={seed}")
        original.append([row["loss"] for row in rows])
        output = folder / f"same_loss_{seed}"
        run([*train, f"--output={output}", f"--seed={seed}"])
        reports = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
        ours.append([report["loss"] for report in reports if report["kind"] == "train"])
    return Loss([row["step"] for row in rows], original, ours)
