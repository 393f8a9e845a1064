"""Runs of `textreel train` and of the peers, each in a process of its own."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

from rows import Row, Text

ROOT = Path(__file__).resolve().parent.parent.parent
_RATE_STEPS = 200
_EVALUATIONS = 20  # in a run
# One period: the published splits are by position, and a corpus would spread its own over the text.
_PREPARE = """
import sys
from pipeline.preparing import plan
from pipeline import PrepareOptions, prepare
plan._MAX_PERIODS = 1
parts = [part.partition("=") for part in sys.argv[3].split(",")]
splits = {name: float(share) for name, _, share in parts}
prepare([sys.argv[1]], sys.argv[2], PrepareOptions(vocabulary="char", splits=splits), workers=1)
"""


def prepared(text: Text, texts: Path, folder: Path) -> Path:
    """The corpus of a text, made where it is not there."""
    corpus = folder / text.file
    if not corpus.exists():
        _call([sys.executable, "-c", _PREPARE, str(texts / text.file), str(corpus), text.splits])
    return corpus


def run_textreel(row: Row, corpus: Path, seed: int, folder: Path) -> dict:
    """Trains for the row's time; returns its figures and its curve."""
    run = folder / f"{row.name.replace('/', '-')}-{seed}"
    common = ["--sample_tokens=0", f"--seed={seed}", *row.options]
    rate = _train(corpus, f"{run}-rate", *common, f"--steps={_RATE_STEPS}", "--eval_every=0")
    tokens = _tokens_of_step(f"{run}-rate")
    steps = round(rate["tokens_per_second"] * row.seconds / tokens)
    every = max(1, steps // _EVALUATIONS)
    measured = _train(corpus, run, *common, f"--steps={steps}", f"--eval_every={every}")
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    curve = [(one["seconds"], one["loss"]) for one in entries if one["kind"] == "validation"]
    stateful = json.loads(_module("evaluate", str(run), "--stateful", "--json")[0])
    figures = {
        "nats": min(loss for _, loss in curve),
        "nats_with_state": stateful["stateful"]["loss"],
        "training_seconds": [one["seconds"] for one in entries if one["kind"] == "train"][-1],
        "steps": steps,
        "curve": curve,
        "wall_seconds": measured["wall_seconds"],
        "megabytes": max(one["memory_bytes"] for one in entries if "memory_bytes" in one) / 1e6,
    }
    if "test" in row.text.splits:
        measured_test = _module("evaluate", str(run), "--split", "test", "--stateful", "--json")
        test = json.loads(measured_test[0])
        figures |= {"test_nats": test["loss"], "test_nats_with_state": test["stateful"]["loss"]}
    return figures


def run_peer(row: Row, corpus: Path, seed: int, command: list[str]) -> dict:
    """Runs a peer on the ids of a corpus; it prints its curve and its figures."""
    ids = corpus.with_suffix(".ids")
    if not ids.exists():
        ids.mkdir()
        for split in ("train", "validation"):
            _call([sys.executable, "-c", _IDS, str(corpus), split, str(ids / split)])
    seconds = [] if row.seconds is None else [str(row.seconds)]
    out, usage = _call([*command, str(ids), str(seed), *seconds])
    return {**json.loads(out.splitlines()[-1]), **usage}


_IDS = """
import sys
import numpy as np
from pipeline import open_corpus
from trainer.evaluation.evaluate import split_tokens
corpus = open_corpus(sys.argv[1])
tokens = np.concatenate(list(split_tokens(corpus, sys.argv[2])))
tokens[tokens != corpus.vocabulary.separator_id].astype(np.uint8).tofile(sys.argv[3])
"""


def _train(corpus: Path, run: Path | str, *options: str) -> dict:
    out, usage = _module("train", str(corpus), "-o", str(run), "--json", *options)
    return {**json.loads(out.splitlines()[-1]), **usage}


def _tokens_of_step(run: str) -> int:
    entry = json.loads(Path(run, "metrics.jsonl").read_text().splitlines()[-1])
    return math.ceil(entry["tokens"] / entry["step"])


def _module(*arguments: str) -> tuple[str, dict]:
    return _call([sys.executable, "-m", "trainer.cli", *arguments])


def _call(command: list[str]) -> tuple[str, dict]:
    """What a command printed, and its time and memory.

    Raises:
        RuntimeError: it failed.
    """
    began = time.monotonic()
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables
    ) as process:
        out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {err[-600:]}")
    return out, {"wall_seconds": time.monotonic() - began}
