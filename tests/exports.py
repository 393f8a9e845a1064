"""Runs of every kind, their exports, and the slow oracle of `score`."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from training import tiny

from pipeline import Corpus, open_corpus
from trainer.config import run_config
from trainer.loop import train
from trainer.models import build_model
from trainer.run.checkpoint import find_checkpoint, restore_weights

KINDS = ("lstm", "gru", "mingru", "transformer", "own", "softmax")
PROMPTS = ["lorem ", "", "日本語 ipsum dolor sit amet, naïve"]
OPTIONS: dict[str, Any] = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "seed": 7}


def train_run(corpus: Corpus, directory: Path, **changes: Any) -> Path:
    settings = {"steps": 3, "save_every": 3, "learning_rate": 0.02, "layers": 1, **changes}
    if settings.get("model") in ("mingru", "transformer"):
        settings |= {"embedding_dim": None, "layers": 2}
    train(tiny(corpus.directory, directory, **settings), quiet=True)
    return directory


def exported(runs: dict[str, Path], kind: str) -> Path:
    return runs[kind].parent / "exports" / kind


def model_of(run: Path) -> Any:
    model = build_model(run_config(run), vocabulary_of(run).size, use_cudnn=False)
    restore_weights(find_checkpoint(run).path, model)
    return model


def vocabulary_of(run: Path) -> Any:
    return open_corpus(run_config(run).corpus).vocabulary


def nats_of(run: Path, prompt: str) -> float:
    return nats_by_steps(model_of(run), vocabulary_of(run), prompt)


def nats_by_steps(model: Any, vocabulary: Any, prompt: str) -> float:
    """The slow oracle: a step a token from the separator on."""
    ids = vocabulary.encode(prompt).astype(np.int32)
    state, nats = model.initial_state(1), 0.0
    for token, target in zip([vocabulary.separator_id, *ids], ids, strict=False):
        logits, state = model.step(tf.constant([int(token)]), state)
        nats -= float(tf.nn.log_softmax(logits)[0, int(target)])
    return nats
