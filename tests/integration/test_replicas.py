"""Two replicas: what one gives, whatever the recipe of the step."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from recipes import RECIPES, train_by
from training import checkpoint_arrays, run_child, tiny

from pipeline import Corpus
from trainer.loop import train

TWO_REPLICAS = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from recipes import RECIPES, train_by
from trainer.hosts.strategy import make_strategy
from training import tiny
strategy = make_strategy(tiny("corpus", "run", strategy="mirrored"))
assert strategy.num_replicas_in_sync == 2
print(json.dumps({name: train_by(strategy, changes) for name, changes in RECIPES.items()}))
"""


@pytest.fixture(scope="module")
def results() -> tuple[dict[str, Any], dict[str, Any]]:
    one = {name: train_by(tf.distribute.get_strategy(), RECIPES[name]) for name in RECIPES}
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


RUN_ON_TWO = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.loop import train
result = train(tiny(*sys.argv[1:], strategy="mirrored", dropout=0.0, clip_norm=0.05,
                    eval_every=12), quiet=True)
print(result.loss, result.evaluation.loss, result.checkpoint)
"""


def test_a_run_on_two_replicas_is_that_on_one(char_corpus: Corpus, tmp_path: Path) -> None:
    corpus = char_corpus.directory
    options = {"dropout": 0.0, "eval_every": 12}
    one = train(tiny(corpus, tmp_path / "one", clip_norm=0.05, **options), quiet=True)
    unclipped = train(tiny(corpus, tmp_path / "free", clip_norm=0, **options), quiet=True)
    loss, validation_loss, checkpoint = run_child(RUN_ON_TWO, corpus, str(tmp_path / "two")).split()
    assert one.evaluation is not None
    assert float(loss) == pytest.approx(one.loss, rel=1e-5)
    assert float(validation_loss) == pytest.approx(one.evaluation.loss, rel=1e-5)
    assert unclipped.loss != pytest.approx(one.loss, rel=1e-5)  # so that clipping was active
    first, second = checkpoint_arrays(one.checkpoint), checkpoint_arrays(checkpoint)
    weights = [name for name in first if name.startswith("variables/")]
    # Embedding, 2 x LSTM (kernel, recurrent kernel, bias, seed), 2 x dropout seed, Dense.
    assert len(weights) == 1 + 8 + 2 + 2
    for name in weights:
        # Adam divides by the gradient's size, which magnifies the rounding of tiny gradients.
        np.testing.assert_allclose(second[name], first[name], atol=2e-4, err_msg=name)
