"""dropout: in training alone, seeds of their own, masks of their own on every replica."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from modelling import TOKENS, every_model, make
from training import run_child

from trainer.config.model import MODELS
from trainer.models.parts.dropout import drop, seed_generators

NUM_SEEDS = 30
SHAPE = (64, 32, 32)


@every_model
def test_dropout_acts_in_training_alone_and_moves_on(model: str) -> None:
    made = make(model)
    np.testing.assert_array_equal(made(TOKENS), made(TOKENS))
    first, second = made(TOKENS, training=True), made(TOKENS, training=True)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(make(model)(TOKENS, training=True), first)
    assert not np.allclose(make(model, seed=1)(TOKENS, training=True), first)
    no_dropout = make(model, dropout=0.0)
    np.testing.assert_array_equal(no_dropout(TOKENS, training=True), no_dropout(TOKENS))


@pytest.mark.parametrize("model", MODELS)
def test_every_dropout_layer_has_a_seed_of_its_own(model: str) -> None:
    seeds = [
        tuple(variable.numpy())
        for seed in range(3)
        for variable in make(model, seed=seed).variables
        if variable.path.startswith("replica_seed_generator")
    ]
    assert len(seeds) == 3 * 2 * (2 if model in ("mingru", "transformer") else 1)
    assert len(set(seeds)) == len(seeds)


MASKS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer.hosts.strategy import make_strategy
from trainer.models.parts.dropout import ReplicaDropout
from training import tiny
strategy = make_strategy(tiny("corpus", "run", strategy="mirrored"))
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    layer = ReplicaDropout(0.5, seed=3)
    layer.build((None, 64))
draw = tf.function(lambda: layer(tf.ones([64]), training=True))
for _ in range(2):
    for mask in strategy.experimental_local_results(strategy.run(draw)):
        print("".join(str(int(value > 0)) for value in mask.numpy()))
print(*[value.numpy().tolist() for value in layer.seed_generator.state.value.values])
"""


def test_each_replica_draws_its_own_dropout_masks_from_one_state() -> None:
    *masks, states = run_child(MASKS).splitlines()
    assert len(set(masks)) == 4
    assert states == "[3, 2] [3, 2]"


def seeds() -> list[tf.Tensor]:
    """Some as a run draws them, and some that differ by little."""
    drawn = [tf.random.experimental.stateless_fold_in(tf.constant([3, 4]), n) for n in range(10)]
    return [*drawn, *(tf.constant([n, m]) for n in range(NUM_SEEDS // 3) for m in (0, 1))]


def philox(inputs: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """The generator that TensorFlow takes, and the peer of ours."""
    return tf.nn.experimental.stateless_dropout(inputs, rate, seed, rng_alg="philox")


@pytest.mark.parametrize("dropping", [drop, philox])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_what_is_dropped_looks_random(dropping: Any, rate: float) -> None:
    masks = np.stack([dropping(tf.ones(SHAPE), rate, seed) == 0 for seed in seeds()])
    deviations = (masks - rate).reshape(NUM_SEEDS, -1) / np.sqrt(rate * (1 - rate))
    size = deviations.shape[1]
    # Means and correlations, in standard deviations of those of independent draws.
    scores = [deviations.mean(axis=1) * np.sqrt(size)]
    for lag in (1, 2, 3, 4, 8, 16, 31, 32, 64, 1024, 4096):
        products = deviations[:, lag:] * deviations[:, :-lag]
        scores.append(products.mean(axis=1) * np.sqrt(size - lag))
    scores.append((deviations[1:] * deviations[:-1]).mean(axis=1) * np.sqrt(size))
    found = np.concatenate(scores)
    assert np.abs(found).max() < 4.8  # of about 390 draws: more once in 1,600 times
    assert 0.8 < found.std() < 1.2


def test_what_is_kept_is_scaled_and_the_gradient_with_it() -> None:
    inputs, seed = tf.random.normal([1000], seed=1), tf.constant([5, 6])
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        kept = drop(inputs, 0.25, seed)
    by_inputs = tape.gradient(kept, inputs)
    is_kept = kept.numpy() != 0
    assert 700 < is_kept.sum() < 800
    np.testing.assert_allclose(kept, inputs.numpy() * is_kept / 0.75, rtol=1e-6)
    np.testing.assert_allclose(by_inputs, is_kept / 0.75, rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1e-12, 1 - 1e-12])
def test_rates_at_the_ends(rate: float) -> None:
    kept = drop(tf.ones([1000], tf.bfloat16), rate, tf.constant([5, 6]))
    assert kept.dtype == tf.bfloat16
    assert np.count_nonzero(kept) == (1000 if rate < 0.5 else 0)


def test_a_mask_is_the_same_whether_it_is_compiled_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, seed = tf.ones([7, 9]), tf.constant([1, 2])
    expected = drop(inputs, 0.5, seed)
    monkeypatch.setattr("trainer.models.parts.fused._FEWEST_ELEMENTS", 0)
    np.testing.assert_array_equal(drop(inputs, 0.5, seed), expected)
    compiled = tf.function(lambda: drop(inputs, 0.5, seed), jit_compile=True)
    np.testing.assert_array_equal(compiled(), expected)


@pytest.mark.parametrize("model", MODELS)
def test_seed_generators_are_those_of_all_that_drops(model: str) -> None:
    made = make(model)
    before = [one.state.numpy() for one in seed_generators(made)]
    made(TOKENS, training=True)
    assert before
    for generator, state in zip(seed_generators(made), before, strict=True):
        assert not np.array_equal(generator.state, state)
    assert seed_generators(make(model, dropout=0.0)) == []
