"""Until when textreel has the quality that the original reaches in an epoch."""

import dataclasses
import math
import re
import time
from pathlib import Path

import tensorflow as tf
from processes import PREPARE, TRAIN, lines, original_rows, run

from pipeline import Corpus, open_corpus

EVAL_STEPS = 100
# Smaller batches than the default's and a high rate that falls: for one short run, not a long one.
UPDATES = [
    "--batch_size=32",
    "--learning_rate=0.016",
    "--schedule=cosine",
    "--warmup_steps=50",
    "--precision=bfloat16",
]
DECAY_STEPS = 800
AFTERWARDS = 1.5  # for the chart
VALIDATION = re.compile(r"validation at step (\d+): loss ([\d.]+) nats")


@dataclasses.dataclass(frozen=True)
class Race:
    """`(step, seconds, validation bits a character)` over time.

    Attributes:
        original: of one epoch of the original.
        ours: of textreel, from its first validation on.
    """

    original: list[tuple[int, float, float]]
    ours: list[tuple[int, float, float]]

    @property
    def reached(self) -> tuple[int, float, float] | None:
        """Where textreel first is as good as the original's epoch; None: never."""
        goal = self.original[-1][2]
        return next((row for row in self.ours if row[2] <= goal), None)


def measure_race(text: Path, folder: Path, seed: int) -> Race:
    """Runs both, one after the other.

    Args:
        text: its last 5% are held out.
        folder: is made, and gets everything.
        seed: of both.
    """
    folder.mkdir()
    corpus = folder / "corpus"
    began = time.perf_counter()
    run([*PREPARE, str(text), f"--output={corpus}", "--vocabulary=char",
         "--splits=train=0.95,validation=0.05"])  # fmt: skip
    prepared = time.perf_counter() - began
    # The original gets the text of the same splits.
    opened = open_corpus(corpus)
    for split in ("train", "validation"):
        (folder / f"{split}.txt").write_text(_text(opened, split))
    rows = original_rows(
        str(folder / "train.txt"), f"--validation={folder / 'validation.txt'}", f"--seed={seed}"
    )
    original = [(row["step"], row["seconds"], row["bits"]) for row in rows]
    return Race(original, _train(corpus, folder / "run", prepared, original[-1], seed))


def _train(
    corpus: Path, run_directory: Path, prepared: float, goal: tuple[int, float, float], seed: int
) -> list[tuple[int, float, float]]:
    """Trains `AFTERWARDS` times the steps to the goal's bits, or the goal's seconds at most."""
    command = [*TRAIN, str(corpus), f"--output={run_directory}", f"--seed={seed}"]
    command += [*UPDATES, f"--decay_steps={DECAY_STEPS}", f"--eval_every={EVAL_STEPS}"]
    command += ["--steps=100000", "--save_every=100000"]
    ours, last_step = [], math.inf
    began = time.perf_counter()
    for line in (training := lines(command)):
        if found := VALIDATION.search(line):
            seconds = prepared + time.perf_counter() - began
            step, bits = int(found[1]), float(found[2]) / math.log(2)
            ours.append((step, seconds, bits))
            if bits <= goal[2]:
                last_step = min(last_step, AFTERWARDS * step)
            if step >= last_step or seconds > goal[1]:
                break
    training.close()
    return ours


def _text(corpus: Corpus, split: str) -> str:
    """The text of a split, without the separators."""
    feature = {"tokens": tf.io.FixedLenFeature([], tf.string)}
    ids: list[int] = []
    for shard in corpus.manifest.splits[split].shards:
        for record in tf.data.TFRecordDataset(f"{corpus.directory}/{shard.file}"):
            tokens = tf.io.parse_single_example(record, feature)["tokens"].numpy()
            ids += [token for token in tokens if token]
    return corpus.vocabulary.decode(ids)
