"""reports: what a run leaves in its event files."""

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from training import read_events, tiny

from pipeline import Corpus
from trainer.loop import train

TRAIN_FIGURES = (
    "tokens",
    "seconds",
    "loss",
    "bits_per_byte",
    "tokens_per_second",
    "input_wait",
    "learning_rate",
    "gradient_norm",
    "skipped_steps",
    "memory_bytes",
)


def test_events_hold_curves_and_samples(char_corpus: Corpus, tmp_path: Path) -> None:
    changes = {"eval_every": 6, "sample_temperatures": (0.0, 1.5)}
    result = train(tiny(char_corpus.directory, tmp_path, **changes), quiet=True)
    events = read_events(tmp_path)
    assert set(events) == {
        *(f"train/{name}" for name in TRAIN_FIGURES),
        "validation/tokens",
        "validation/seconds",
        "validation/loss",
        "validation/perplexity",
        "validation/bits_per_byte",
        "sample/temperature_0",
        "sample/temperature_1.5",
    }
    # TensorBoard draws what has one name in several runs into one picture.
    runs = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "events")).Reload().Runs()
    assert runs.keys() == {".", "train", "validation"}  # the first is for the page HParams
    both = set(runs["train"]["tensors"]) & set(runs["validation"]["tensors"])
    assert both == {"tokens", "seconds", "loss", "bits_per_byte"}
    assert list(events["train/loss"]) == [4, 8, 12]
    assert list(events["validation/loss"]) == [6, 12]
    assert result.evaluation is not None
    assert events["train/loss"][12] == pytest.approx(result.loss)
    assert events["validation/bits_per_byte"][12] == pytest.approx(result.evaluation.bits_per_byte)
    assert events["sample/temperature_0"][12].startswith(b"    ")
