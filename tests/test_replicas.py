"""Accumulation and low precision on two replicas: what one replica gives."""

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import run_child, tiny

from trainer.models import build_model
from trainer.steps.optimization import make_optimizer
from trainer.steps.runner import StepRunner

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


def train(strategy: tf.distribute.Strategy, changes: dict[str, Any]) -> dict[str, Any]:
    """Six steps on `TOKENS`; what they measured and made of the weights."""
    config = tiny(
        "corpus", "run", layers=1, dropout=0.0, clip_norm=0.5, learning_rate=0.01, **changes
    )
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = build_model(config, SIZE, use_cudnn=False)
        runner = StepRunner(
            strategy=strategy,
            model=model,
            optimizer=make_optimizer(config, model),
            batch_size=ROWS,
            tokens_per_row=16,
            clip_norm=config.clip_norm,
            accumulate_steps=config.accumulate_steps,
        )
    dataset = tf.data.Dataset.from_tensor_slices((TOKENS[..., :-1], TOKENS[..., 1:]))
    iterator = iter(strategy.experimental_distribute_dataset(dataset.unbatch().batch(ROWS, True)))
    metrics = [runner.run_steps(iterator, tf.constant(number)) for number in (1, 5)]
    assert runner.run_steps.experimental_get_tracing_count() == 1
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    scale = runner.optimizer.loss_scale
    return {
        "losses": [float(one.loss) for one in metrics],
        "norms": [float(one.gradient_norm) for one in metrics],
        "bad": [int(one.bad_index) for one in metrics],
        "skipped": [int(one.num_skipped) for one in metrics],
        "scale": None if scale is None else float(scale.value.numpy()),
        "weights": [weight.numpy().ravel().tolist() for weight in model.trainable_variables],
    }


TWO_REPLICAS = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from test_replicas import RECIPES, train
from trainer.hosts.strategy import make_strategy
from training import tiny
strategy = make_strategy(tiny("corpus", "run", strategy="mirrored"))
assert strategy.num_replicas_in_sync == 2
print(json.dumps({name: train(strategy, changes) for name, changes in RECIPES.items()}))
"""


@pytest.fixture(scope="module")
def results() -> tuple[dict[str, Any], dict[str, Any]]:
    one = {name: train(tf.distribute.get_strategy(), RECIPES[name]) for name in RECIPES}
    return one, json.loads(run_child(TWO_REPLICAS))


@pytest.mark.parametrize("name", RECIPES)
def test_two_replicas_train_what_one_does(
    results: tuple[dict[str, Any], dict[str, Any]], name: str
) -> None:
    one, two = results[0][name], results[1][name]
    # Low precision rounds sums of other groups of rows to other values.
    tolerance = 1e-5 if RECIPES[name].get("precision", "float32") == "float32" else 2e-3
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=tolerance)
    np.testing.assert_allclose(two["norms"], one["norms"], rtol=10 * tolerance)
    for key in ("bad", "skipped", "scale"):
        assert two[key] == one[key]
    for first, second in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(second, first, atol=max(1e-3, 10 * tolerance))


def test_parts_train_what_whole_steps_do(
    results: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    for side in results:
        whole, parts = side["whole"], side["parts"]
        np.testing.assert_allclose(parts["losses"], whole["losses"], rtol=1e-5)
        np.testing.assert_allclose(parts["norms"], whole["norms"], rtol=1e-4)


def test_float16_changes_little_but_something(
    results: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    whole, half = (results[0][name]["losses"] for name in ("whole", "float16"))
    assert half != whole
    np.testing.assert_allclose(half, whole, rtol=1e-3)
