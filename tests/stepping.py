"""Runners of small steps, and batches for them."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.models import LanguageModel
from trainer.models.recurrent import RecurrentArchitecture, RecurrentModel
from trainer.steps.optimization import Adam, Optimizer
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


def make_runner(
    model: LanguageModel | None = None, optimizer: Optimizer | None = None, **options: Any
) -> StepRunner:
    keras.utils.set_random_seed(1)
    if model is None:
        model = RecurrentModel(
            RecurrentArchitecture(
                cell="lstm", vocabulary_size=9, num_layers=1, units=8, embedding_dim=4
            )
        )
        model.build()
    strategy = tf.distribute.get_strategy()
    return StepRunner(
        ReplicaStep(
            strategy,
            model,
            optimizer or Adam(1e-2),
            StepRecipe(batch_size=4, tokens_per_row=5, **options),
        )
    )


def batches(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    tokens = np.random.default_rng(seed).integers(9, size=(40, 4, 6)).astype(np.int32)
    return [(batch[:, :-1], batch[:, 1:]) for batch in tokens]


def losses_of(runner: StepRunner, *counts: int) -> list[float]:
    data = batches(0)
    dataset = tf.data.Dataset.from_tensor_slices(
        (np.stack([x for x, _ in data]), np.stack([y for _, y in data]))
    )
    iterator = iter(dataset)
    return [float(runner.run_steps(iterator, tf.constant(n)).loss) for n in counts]
