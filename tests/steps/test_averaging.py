"""averaging: the formula, both weights after an exchange, and a run that is used by its average."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from stepping import batches, make_runner
from training import assert_same_bits, checkpoint_arrays, run_child, tiny

from pipeline import Corpus
from trainer import evaluate, train
from trainer.run.checkpoint import find_checkpoint
from trainer.steps.averaging import WeightAverage


def trained(corpus: Corpus, output: Path, **changes: Any) -> Any:
    settings = {"learning_rate": 0.05, "eval_every": 6, "sample_tokens": 0, **changes}
    return train(tiny(corpus.directory, output, **settings), quiet=True)


def weights_of(arrays: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: value for name, value in arrays.items() if name.startswith(f"{kind}/")}


def test_the_average_follows_the_formula_and_weights_come_back() -> None:
    runner = make_runner()
    step, strategy = runner.step, tf.distribute.get_strategy()
    average = WeightAverage(strategy, step.model, decay=0.2)
    step._average = average
    weights = step.model.trainable_variables
    expected = [weight.numpy() for weight in weights]
    for number, (inputs, targets) in enumerate(batches(0)[:5]):
        strategy.run(step.train, args=(tf.constant(inputs), tf.constant(targets)))
        decay = min(0.2, number / (number + 10))
        expected = [
            decay * old + (1 - decay) * weight.numpy()
            for old, weight in zip(expected, weights, strict=True)
        ]
    for found, value in zip(average.variables, expected, strict=True):
        np.testing.assert_allclose(found, value, atol=1e-6)
    raw = [weight.numpy() for weight in weights]
    averages = [variable.numpy() for variable in average.variables]
    assert not np.allclose(raw[0], averages[0], atol=1e-4)
    with average.in_place():
        for weight, value in zip(weights, averages, strict=True):
            np.testing.assert_array_equal(weight, value)
    for weight, value in zip(weights, raw, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_training_is_the_same_and_what_is_used_is_the_average(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    plain = trained(char_corpus, tmp_path / "plain")
    averaged = trained(char_corpus, tmp_path / "averaged", ema=0.9)
    raw, arrays = (checkpoint_arrays(result.checkpoint) for result in (plain, averaged))
    assert_same_bits(weights_of(raw, "variables"), weights_of(arrays, "variables"))
    assert plain.evaluation.loss != averaged.evaluation.loss
    found = evaluate(tmp_path / "averaged", checkpoint="newest").evaluation.loss
    assert found == pytest.approx(averaged.evaluation.loss, rel=1e-6)
    best = checkpoint_arrays(find_checkpoint(tmp_path / "averaged", "best").path)
    assert float(best["validation_loss/.ATTRIBUTES/VARIABLE_VALUE"]) == pytest.approx(
        evaluate(tmp_path / "averaged", checkpoint="best").evaluation.loss, rel=1e-6
    )


def test_a_resumed_average_is_that_of_a_straight_run(char_corpus: Corpus, tmp_path: Path) -> None:
    straight = trained(char_corpus, tmp_path / "straight", ema=0.9, lanes=True)
    trained(char_corpus, tmp_path / "resumed", ema=0.9, lanes=True, steps=6)
    resumed = trained(char_corpus, tmp_path / "resumed", ema=0.9, lanes=True)
    assert resumed.start_step == 6
    one, other = (checkpoint_arrays(run.checkpoint) for run in (straight, resumed))
    assert weights_of(one, "average")
    for kind in ("variables", "average"):
        assert_same_bits(weights_of(one, kind), weights_of(other, kind))


REPLICAS = """
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer.steps.assembly import assemble
from training import tiny
made = assemble(tiny("corpus", "run", strategy="mirrored", ema=0.5), 11)
assert made.strategy.num_replicas_in_sync == 2
tokens = np.random.default_rng(0).integers(11, size=(8, 17)).astype(np.int32)
def rows(values):
    return made.strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(values[context.replica_id_in_sync_group * 4 :][:4])
    )
train = tf.function(lambda x, y: made.strategy.run(made.runner.step.train, args=(x, y)))
weights = made.model.trainable_variables
expected = [weight.numpy() for weight in weights]
for number in range(3):
    train(rows(tokens[:, :-1]), rows(tokens[:, 1:]))
    decay = min(0.5, number / (number + 10))
    expected = [decay * e + (1 - decay) * w.numpy() for e, w in zip(expected, weights)]
raw = [weight.numpy() for weight in weights]
with made.to_be_used():
    for weight, value in zip(weights, expected):
        for copy in weight.value.values:
            np.testing.assert_allclose(copy, value, atol=1e-6)
for weight, value in zip(weights, raw):
    for copy in weight.value.values:
        np.testing.assert_array_equal(copy, value)
print("same")
"""


def test_every_replica_has_the_same_average() -> None:
    assert run_child(REPLICAS).split() == ["same"]
