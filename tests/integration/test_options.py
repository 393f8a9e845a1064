"""Options change what is trained."""

from pathlib import Path
from typing import Any

from training import tiny

from pipeline import Corpus
from trainer.loop import train


def test_options_change_what_is_trained(char_corpus: Corpus, tmp_path: Path) -> None:
    """Each of these gives another loss than the others at the same step."""
    changes: list[dict[str, Any]] = [
        {},
        {"layers": 1},
        {"model": "gru"},
        {"model": "mingru", "embedding_dim": None},
        {"layer_norm": True},
        {"model": "transformer", "embedding_dim": None},
        {"model": "transformer", "embedding_dim": None, "heads": 2},
        {"units": 17},
        {"embedding_dim": 9},
        {"dropout": 0.0},
        {"seq_len": 15, "stride": 16},
        {"stride": 3},
        {"batch_size": 7},
        {"seed": 1},
        {"targets": "last"},
        {"learning_rate": 1e-2},
        {"optimizer": "rmsprop"},
        {"optimizer": "muon"},
        {"optimizer": "adamw", "weight_decay": 10.0},
        {"schedule": "cosine"},
        {"schedule": "wsd", "decay_fraction": 0.9},
        {"label_smoothing": 0.1},
        {"precision": "bfloat16"},
        {"train_split": "validation"},
    ]
    losses = []
    for index, change in enumerate(changes):
        options = {"steps": 3, "log_every": 3, "layers": 2, "jit": "off", **change}
        config = tiny(char_corpus.directory, tmp_path / str(index), **options)
        losses.append(train(config, quiet=True).loss)
    assert len(set(losses)) == len(changes), losses
