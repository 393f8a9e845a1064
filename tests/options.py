"""Options of a run in tests: configurations, flags, errors, and a changed value of every option."""

import argparse
from typing import Any

import pytest

from pipeline.errors import OptionError
from trainer import task
from trainer.config import TrainConfig
from trainer.task import add_arguments


def config_of(**changes: Any) -> TrainConfig:
    return TrainConfig(**{"corpus": "corpus", "output": "run", **changes})


def parsed(flags: list[str], *, corpus: str = "corpus") -> TrainConfig:
    """The configuration that flags make, beside the two that are required."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = parser.parse_args([corpus, "--output", "run", *flags])
    return task.config_of(arguments)


def error_of(**changes: Any) -> str:
    """What is said of options that break a rule."""
    with pytest.raises(OptionError) as error:
        config_of(**changes)
    return str(error.value)


# A flag's text, and the value that it gives.
CHANGED = {
    "corpus": ("other", "other"),
    "output": ("other", "other"),
    "events": ("other", "other"),
    "log_to": ("mine:log", "mine:log"),
    "cache_dir": ("other", "other"),
    "cache_bytes": ("8", 8),
    "model": ("gru", "gru"),
    "outputs": ("probabilities", "probabilities"),
    "layers": ("3", 3),
    "units": ("8", 8),
    "embedding_dim": ("8", 8),
    "heads": ("2", 2),
    "recompute": ("", True),
    "dropout": ("0.5", 0.5),
    "embedding_dropout": ("0.5", 0.5),
    "recurrent_dropout": ("0.5", 0.5),
    "tied": ("", True),
    "layer_norm": ("", True),
    "init_from": ("base", "base"),
    "pretrained_embeddings": ("file.txt", "file.txt"),
    "freeze_embeddings_steps": ("-1", -1),
    "seq_len": ("40", 40),
    "stride": ("3", 3),
    "lanes": ("", True),
    "batch_size": ("8", 8),
    "steps": ("8", 8),
    "seed": ("8", 8),
    "targets": ("last", "last"),
    "learning_rate": ("0.5", 0.5),
    "optimizer": ("rmsprop", "rmsprop"),
    "schedule": ("cosine", "cosine"),
    "warmup_steps": ("8", 8),
    "decay_steps": ("8", 8),
    "decay_fraction": ("0.5", 0.5),
    "ema": ("0.5", 0.5),
    "min_learning_rate_ratio": ("0.5", 0.5),
    "weight_decay": ("0.5", 0.5),
    "clip_norm": ("0", 0.0),
    "early_stopping": ("3", 3),
    "label_smoothing": ("0.1", 0.1),
    "precision": ("bfloat16", "bfloat16"),
    "accumulate_steps": ("4", 4),
    "startup_timeout": ("90s", "90s"),
    "eval_every": ("0", 0),
    "save_every": ("8", 8),
    "log_every": ("8", 8),
    "histograms_every": ("8", 8),
    "keep_checkpoints": ("8", 8),
    "strategy": ("mirrored", "mirrored"),
    "tpu": ("local", "local"),
    "jit": ("on", "on"),
    "train_split": ("all", "all"),
    "validation_split": ("test", "test"),
    "sample_tokens": ("0", 0),
    "sample_temperatures": ("0,1.5", (0.0, 1.5)),
}

# What an option needs beside it to be allowed at all.
NEEDED: dict[str, dict[str, Any]] = {
    "outputs": {"model": "module:function"},
    "decay_steps": {"schedule": "cosine"},
    "decay_fraction": {"schedule": "wsd"},
    "min_learning_rate_ratio": {"schedule": "cosine"},
    "weight_decay": {"optimizer": "adamw"},
    "heads": {"model": "transformer"},
    "recompute": {"model": "transformer"},
    "freeze_embeddings_steps": {"pretrained_embeddings": "file.txt"},
}
