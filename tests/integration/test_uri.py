"""Runs and corpora given by URIs: what is below `file://` is on this machine."""

import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf
from training import ROOT, assert_same_bits, checkpoint_arrays, read_events, tiny

from pipeline import Corpus, UserError, open_corpus
from pipeline.files import join, make_directory, write_text
from trainer.evaluation.evaluate import evaluate
from trainer.generation.sampler import generate
from trainer.loop import train
from trainer.reports.metrics import read_metrics


def test_a_run_behind_uris_is_the_run(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    corpus, run = f"file://{char_corpus.directory}", f"file://{tmp_path}/there"
    assert open_corpus(corpus).fingerprint == char_corpus.fingerprint
    local = train(tiny(char_corpus.directory, tmp_path / "here"), quiet=True)

    events = f"file://{tmp_path}/elsewhere/events"
    half = train(tiny(corpus, run, steps=6, events=events), quiet=True)
    whole = train(tiny(corpus, run, eval_every=12, events=events), quiet=True)
    assert (half.step, whole.start_step, whole.step) == (6, 6, 12)
    assert whole.checkpoint == f"{tmp_path}/there/checkpoints/ckpt-12"
    assert_same_bits(checkpoint_arrays(local.checkpoint), checkpoint_arrays(whole.checkpoint))
    assert list(read_events(tmp_path / "elsewhere")["train/loss"]) == [4, 6, 8, 12]
    assert sorted(file.name for file in (tmp_path / "there").iterdir()) == [
        "best",
        "checkpoints",
        "metrics.jsonl",
        "run.toml",
        "vocabulary.json",
    ]
    assert list((tmp_path / "work").iterdir()) == []
    steps = [(entry["kind"], entry["step"]) for entry in read_metrics(run)]
    assert steps == [("train", 4), ("train", 6), ("train", 8), ("train", 12), ("validation", 12)]

    assert evaluate(run).evaluation == whole.evaluation
    options = {"tokens": 20, "temperature": 0.5, "seed": 1}
    assert "".join(generate(run, **options)) == "".join(generate(local.run, **options))
    with pytest.raises(UserError, match=f"`run` {tmp_path}/none is not the directory"):
        generate(f"file://{tmp_path}/none")


def test_trace_knows_a_run_behind_a_uri(char_corpus: Corpus, tmp_path: Path) -> None:
    run = f"file://{tmp_path}/run"
    make_directory(run)
    config = tiny(f"file://{char_corpus.directory}", run)
    write_text(join(run, "run.toml"), config.to_toml())
    command = [sys.executable, "-m", "trainer.cli", "trace", "--step", "0"]
    shown = [
        subprocess.run([*command, name], cwd=ROOT, check=True, capture_output=True).stdout
        for name in (run, str(tmp_path / "run"))
    ]
    assert shown[0]
    assert shown[0] == shown[1]


def test_gs_is_built_into_tensorflow() -> None:
    assert "gs" in tf.io.gfile.get_registered_schemes()
