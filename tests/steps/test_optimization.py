"""optimization: the course of the learning rate, and what each optimizer does."""

import math
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import tiny

from trainer.models import build_model
from trainer.steps.optimization import LearningRate, make_optimizer


def rates(num_steps: int, **changes: Any) -> list[float]:
    learning_rate = LearningRate.from_config(tiny("corpus", "run", **changes))
    return [float(learning_rate(step)) for step in range(num_steps)]


def expected_rate(step: int, peak: float, warmup: int, end: int | None, lowest: float) -> float:
    if step < warmup:
        return peak * (step + 1) / warmup
    if end is None:
        return peak
    if step >= end:
        return lowest
    share = (step - warmup) / (end - warmup)
    return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * share))


@pytest.mark.parametrize("warmup_steps", [0, 1, 4])
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_learning_rate_of_every_step(schedule: str, warmup_steps: int) -> None:
    options = {"schedule": schedule, "warmup_steps": warmup_steps, "learning_rate": 0.5}
    end = 12 if schedule == "cosine" else None
    expected = [expected_rate(step, 0.5, warmup_steps, end, 0.05) for step in range(20)]
    np.testing.assert_allclose(rates(20, steps=12, **options), expected, rtol=1e-5)


def test_where_the_cosine_ends_and_what_is_left_there() -> None:
    options = {"schedule": "cosine", "learning_rate": 1.0, "warmup_steps": 2, "decay_steps": 6}
    rising_and_falling = [0.5, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2, 0, 0]
    found = rates(8, steps=6, min_learning_rate_ratio=0.0, **options)
    np.testing.assert_allclose(found, rising_and_falling, atol=1e-6)
    assert rates(90, steps=90, **options)[6:] == pytest.approx([0.1] * 84)
    assert rates(90, steps=90, min_learning_rate_ratio=0.5, **options)[-1] == pytest.approx(0.5)


def updated(
    gradient_of: Any, num_steps: int = 1, model: str = "lstm", **changes: Any
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every weight, by the end of its path, before and after updates."""
    config = tiny("corpus", "run", layers=1, embedding_dim=None, model=model, **changes)
    keras.utils.set_random_seed(0)
    built = build_model(config, 5, use_cudnn=False)
    variables = built.trainable_variables
    for variable in variables:
        variable.assign(variable + 0.5)  # so that no weight is 0
    before = [variable.numpy() for variable in variables]
    optimizer = make_optimizer(config, built)
    optimizer.build(variables)
    for _ in range(num_steps):
        optimizer.apply([gradient_of(variable) for variable in variables], variables)
    pairs = zip(before, [variable.numpy() for variable in variables], strict=True)
    names = ["/".join(variable.path.split("/")[-2:]) for variable in variables]
    assert len(set(names)) == len(names)
    return dict(zip(names, pairs, strict=True))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop"])
def test_the_first_updates_follow_the_formulas(optimizer: str) -> None:
    """Constant gradients of 2: Adam moves by the rate, RMSprop by what its average makes of it."""
    rate, gradient = 0.01, 2.0
    options = {"optimizer": optimizer, "learning_rate": rate, "warmup_steps": 2}
    found = updated(lambda variable: tf.fill(variable.shape, gradient), 2, **options)
    moved = rate / 2 + rate
    if optimizer == "rmsprop":
        moved = rate / 2 / math.sqrt(0.1) + rate / math.sqrt(0.1 * 0.9 + 0.1)
    for name, (before, after) in found.items():
        expected = before
        if optimizer == "adamw" and name.endswith("kernel"):
            # The decay of a step comes before its update.
            expected = expected * (1 - 0.01 * rate / 2)
            expected = (expected - rate / 2) * (1 - 0.01 * rate) - rate
        else:
            expected = expected - moved
        np.testing.assert_allclose(after, expected, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("model", ["lstm", "gru", "transformer"])
def test_weight_decay_takes_kernels_alone(model: str) -> None:
    found = updated(
        tf.zeros_like, model=model, optimizer="adamw", weight_decay=0.5, learning_rate=0.1
    )
    for name, (before, after) in found.items():
        left = 1 - 0.5 * 0.1 if name.endswith("kernel") else 1
        np.testing.assert_allclose(after, left * before, rtol=1e-6, err_msg=name)
    endings = {name.rpartition("/")[2] for name in found}
    assert (
        endings
        == {
            "lstm": {"embeddings", "kernel", "recurrent_kernel", "bias"},
            "gru": {"embeddings", "kernel", "recurrent_kernel", "bias"},
            "transformer": {"embeddings", "kernel", "scale"},
        }[model]
    )
