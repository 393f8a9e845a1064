"""Ways to compute a step, for one replica and for two."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from training import tiny

from trainer.models import build_model
from trainer.steps.optimization import make_optimizer
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe

SIZE = 11  # of the vocabulary
ROWS = 8
TOKENS = np.random.default_rng(0).integers(SIZE, size=(6, ROWS, 17)).astype(np.int32)
ADAMW = {"optimizer": "adamw", "weight_decay": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    "whole": ADAMW,
    "parts": {**ADAMW, "accumulate_steps": 4},
    "float16": {**ADAMW, "precision": "float16", "accumulate_steps": 2},
    "transformer": {"model": "transformer", "embedding_dim": None, "precision": "bfloat16"},
}


def train_by(strategy: tf.distribute.Strategy, changes: dict[str, Any]) -> dict[str, Any]:
    """Six steps on `TOKENS`; what they measured and made of the weights."""
    config = tiny(
        "corpus", "run", layers=1, dropout=0.0, clip_norm=0.5, learning_rate=0.01, **changes
    )
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = build_model(config, SIZE, use_cudnn=False)
        runner = StepRunner(
            ReplicaStep(
                strategy,
                model,
                make_optimizer(config, model),
                StepRecipe(
                    batch_size=ROWS,
                    tokens_per_row=16,
                    clip_norm=config.clip_norm,
                    accumulate_steps=config.accumulate_steps,
                ),
            )
        )
    dataset = tf.data.Dataset.from_tensor_slices((TOKENS[..., :-1], TOKENS[..., 1:]))
    iterator = iter(strategy.experimental_distribute_dataset(dataset.unbatch().batch(ROWS, True)))
    metrics = [runner.run_steps(iterator, tf.constant(number)) for number in (1, 5)]
    assert runner.run_steps.experimental_get_tracing_count() == 1
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    scale = runner.step.optimizer.loss_scale
    return {
        "losses": [float(one.loss) for one in metrics],
        "norms": [float(one.gradient_norm) for one in metrics],
        "bad": [int(one.bad_index) for one in metrics],
        "skipped": [int(one.num_skipped) for one in metrics],
        "scale": None if scale is None else float(scale.value.numpy()),
        "weights": [weight.numpy().ravel().tolist() for weight in model.trainable_variables],
    }
