"""dropout: in training alone, seeds of their own, masks of their own on every replica."""

import numpy as np
import pytest
from modelling import TOKENS, every_model, make
from training import run_child

from trainer.config.model import MODELS


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
from trainer.models.dropout import ReplicaDropout
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
