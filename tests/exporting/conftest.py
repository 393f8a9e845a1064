"""Runs of every kind with their exports."""

from pathlib import Path

import pytest
from exports import train_run

from pipeline import Corpus
from trainer.exporting.directory import export


@pytest.fixture(scope="session")
def runs(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A run of every kind; LSTM and the targets `"last"` on bytes, the others on characters."""
    directory = tmp_path_factory.mktemp("runs")
    made = {
        "lstm": train_run(byte_corpus, directory / "lstm", targets="last", stride=9, layers=2),
        "gru": train_run(char_corpus, directory / "gru", model="gru", layer_norm=True),
        "mingru": train_run(char_corpus, directory / "mingru", model="mingru", ema=0.5),
        "transformer": train_run(char_corpus, directory / "transformer", model="transformer"),
        "own": train_run(char_corpus, directory / "own", model="own_models:functional"),
        "softmax": train_run(
            char_corpus,
            directory / "softmax",
            model="own_models:original",
            outputs="probabilities",
        ),
    }
    for kind, run in made.items():
        export(run, directory / "exports" / kind, allow_code=True)
    return made
