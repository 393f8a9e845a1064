"""trainer.model: `call` and `step` agree; dropout is its own stream on every replica."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import run_child

from trainer.model import LanguageModel


def make(**changes: object) -> LanguageModel:
    keras.utils.set_random_seed(1)
    settings: dict[str, object] = {
        "vocabulary_size": 11,
        "num_layers": 2,
        "units": 12,
        "embedding_dim": 5,
        "dropout": 0.5,
    }
    model = LanguageModel(**{**settings, **changes})  # type: ignore[arg-type]
    model.build()
    return model


TOKENS = np.random.default_rng(0).integers(11, size=(3, 7)).astype(np.int32)


def step_through(model: LanguageModel) -> np.ndarray:
    state, logits = model.initial_state(3), []
    for column in TOKENS.T:
        next_logits, state = model.step(tf.constant(column), state)
        logits.append(next_logits.numpy())
    return np.stack(logits, axis=1)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_steps_give_the_logits_of_the_whole_window(num_layers: int) -> None:
    model = make(num_layers=num_layers)
    whole = model(TOKENS).numpy()
    assert whole.shape == (3, 7, 11)
    np.testing.assert_allclose(step_through(model), whole, atol=1e-5)


def test_targets_last_gives_the_last_logits_alone() -> None:
    last = make(targets="last")
    sequence = make()
    np.testing.assert_allclose(last(TOKENS).numpy(), sequence(TOKENS).numpy()[:, -1], atol=1e-5)
    np.testing.assert_allclose(step_through(last)[:, -1], last(TOKENS).numpy(), atol=1e-5)


def test_dropout_acts_in_training_alone_and_moves_on() -> None:
    model = make()
    np.testing.assert_array_equal(model(TOKENS), model(TOKENS))
    first, second = model(TOKENS, training=True), model(TOKENS, training=True)
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(make()(TOKENS, training=True), first)
    assert not np.allclose(make(seed=1)(TOKENS, training=True), first)
    no_dropout = make(dropout=0.0)
    np.testing.assert_array_equal(no_dropout(TOKENS, training=True), no_dropout(TOKENS))


def test_xla_compiles_it_to_the_same_logits() -> None:
    model = make(use_cudnn=False)
    compiled = tf.function(model, jit_compile=True)
    np.testing.assert_allclose(compiled(TOKENS), model(TOKENS), atol=1e-5)


MASKS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from trainer.cluster import make_strategy
from trainer.model import ReplicaDropout
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
