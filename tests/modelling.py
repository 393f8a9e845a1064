"""Small models of every kind, and what they say token by token."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import tiny

from trainer.config.model import MODELS
from trainer.models import LanguageModel, build_model

SIZE = 11  # of the vocabulary
TOKENS = np.random.default_rng(0).integers(SIZE, size=(3, 7)).astype(np.int32)
OWN = "own_models:recurrent"
every_model = pytest.mark.parametrize("model", [*MODELS, OWN])


def make(model: str, **changes: Any) -> LanguageModel:
    keras.utils.set_random_seed(1)
    settings = {"units": 12, "seq_len": 7, "dropout": 0.5, **changes}
    if model not in ("mingru", "transformer"):
        settings = {"embedding_dim": 5, **settings}
    config = tiny("corpus", "run", **{"model": model, "embedding_dim": None, **settings})
    built = build_model(config, SIZE, use_cudnn=False)
    # Larger weights than a model starts with, so that every part of it has a say.
    for weight in built.trainable_variables:
        if weight.name == "taps":  # which begin as zeros, but for one
            weight.assign(np.random.default_rng(2).normal(size=weight.shape))
            continue
        weight.assign(weight * (1.5 if weight.name in ("scale", "gamma") else 3))
        if weight.name == "bias":
            weight.assign_add(np.random.default_rng(3).normal(size=weight.shape, scale=0.3))
    return built


def step_through(model: LanguageModel, tokens: np.ndarray = TOKENS) -> np.ndarray:
    state, logits = model.initial_state(len(tokens)), []
    for column in tokens.T:
        next_logits, state = model.step(tf.constant(column), state)
        logits.append(next_logits.numpy())
    return np.stack(logits, axis=1)


def forgotten(state: Any, resets: np.ndarray) -> Any:
    """The state with zeros in the rows that are reset, `[batch]` bool."""
    parts = [part * ~resets.reshape(-1, *[1] * (part.ndim - 1)) for part in flat(state)]
    return tf.nest.pack_sequence_as(state, parts)


def flat(state: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in tf.nest.flatten(state)]


def build(model: str, size: int, **changes: Any) -> LanguageModel:
    """A model of a tiny configuration, with the weights that it starts with."""
    keras.utils.set_random_seed(1)
    return build_model(tiny("corpus", "run", model=model, **changes), size, use_cudnn=False)
