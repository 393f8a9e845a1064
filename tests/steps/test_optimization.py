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


def test_the_rate_of_warm_up_stable_decay() -> None:
    options = {"schedule": "wsd", "learning_rate": 1.0, "warmup_steps": 2, "steps": 10}
    falling = [1 - math.sqrt(share / 4) for share in range(4)]
    expected = [0.5, 1, 1, 1, 1, 1, *falling, 0]
    found = rates(11, decay_fraction=0.4, min_learning_rate_ratio=0.0, **options)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # Without an option: the last fifth, to a tenth; never before the warm-up has ended.
    assert rates(12, **options)[7:] == pytest.approx(
        [1, 1, 0.1 + 0.9 * (1 - math.sqrt(0.5)), 0.1, 0.1]
    )
    assert rates(3, decay_fraction=1.0, **options)[2] == 1


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """The iteration as published (https://kellerjordan.github.io/posts/muon), in float64."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / np.linalg.norm(matrix)
    x = x.T if matrix.shape[0] > matrix.shape[1] else x
    for _ in range(5):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@pytest.mark.parametrize("model", ["lstm", "gru", "mingru", "transformer"])
def test_muon_moves_matrices_by_its_formula_and_the_rest_by_adam(model: str) -> None:
    rate, random = 0.01, np.random.default_rng(0)
    gradients: dict[Any, tf.Tensor] = {}

    def gradient_of(variable: Any) -> tf.Tensor:
        key = "/".join(variable.path.split("/")[-2:])
        value = random.normal(size=variable.shape)
        gradients.setdefault(key, tf.constant(value + np.sign(value), tf.float32))
        return gradients[key]

    found = updated(
        gradient_of, 2, model=model, optimizer="muon", learning_rate=rate, weight_decay=0.5
    )
    moved_by_muon = set()
    for name, (before, after) in found.items():
        gradient = gradients[name].numpy().astype(np.float64)
        is_spared = before.ndim < 2 or name.endswith(("bias", "embeddings", "taps"))
        decay = 1.0 if is_spared else 1 - 0.5 * rate
        if is_spared or "logits" in name:
            expected = (before * decay - rate * np.sign(gradient)) * decay
            expected -= rate * np.sign(gradient)  # constant gradients: Adam moves by the rate
        else:
            moved_by_muon.add(name.rpartition("/")[2])
            size = rate * 0.2 * math.sqrt(max(before.shape))
            momentum, expected = np.zeros_like(gradient), before.astype(np.float64)
            for _ in range(2):
                momentum = 0.95 * momentum + gradient
                step = orthogonal(gradient + 0.95 * momentum)
                expected = expected * decay - size * step
        np.testing.assert_allclose(after, expected, atol=2e-5, err_msg=name)
    kernels = {"kernel"} | ({"recurrent_kernel"} if model in ("lstm", "gru") else set())
    assert moved_by_muon == kernels


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
