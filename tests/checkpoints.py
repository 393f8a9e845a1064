"""Small models with optimizers, and their checkpoints."""

from pathlib import Path

import keras
from training import tiny

from trainer.models import LanguageModel, build_model
from trainer.run.checkpoint import find_best, find_newest
from trainer.run.checkpointer import Checkpointer
from trainer.run.identity import RunIdentity
from trainer.steps.optimization import Adam

IDENTITY = RunIdentity(corpus="c" * 64, vocabulary="v" * 64, settings={"units": 8, "seed": 0})

# Variables of two layers: weights, and the seed of each dropout layer and recurrent layer.
NUM_VARIABLES = {"lstm": 1 + 2 * 4 + 2 + 2, "gru": 1 + 2 * 4 + 2 + 2, "transformer": 1 + 2 * 8 + 1}
NUM_VARIABLES["own_models:recurrent"] = 1 + 2 * 4 + 2 + 2


def build(
    seed: int, vocabulary_size: int = 9, model_kind: str = "lstm"
) -> tuple[LanguageModel, Adam]:
    keras.utils.set_random_seed(seed)
    config = tiny("corpus", "run", model=model_kind, embedding_dim=None, seed=seed)
    model = build_model(config, vocabulary_size, use_cudnn=True)
    optimizer = Adam(1e-2)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def checkpointer(run: Path, model: LanguageModel, optimizer: Adam, keep: int = 2) -> Checkpointer:
    made = Checkpointer(run, identity=IDENTITY, keep=keep)
    made.go_on_from(find_newest(run), find_best(run))
    made.track(model, optimizer)
    return made
