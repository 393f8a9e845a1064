"""trainer.models: `call` and `step` agree, XLA compiles them, files hold them, for every kind."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import run_child, tiny

from trainer.config import MODELS
from trainer.models import LanguageModel, build_model
from trainer.models.transformer import Block, Transformer, rotate, swiglu_width
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner

SIZE = 11  # of the vocabulary
TOKENS = np.random.default_rng(0).integers(SIZE, size=(3, 7)).astype(np.int32)
OWN = "own_models:recurrent"
every_model = pytest.mark.parametrize("model", [*MODELS, OWN])


def make(model: str, **changes: Any) -> LanguageModel:
    keras.utils.set_random_seed(1)
    settings = {"units": 12, "seq_len": 7, "dropout": 0.5, **changes}
    if model != "transformer":
        settings |= {"embedding_dim": 5}
    config = tiny("corpus", "run", **{"model": model, "embedding_dim": None, **settings})
    built = build_model(config, SIZE, use_cudnn=False)
    # Larger weights than a model starts with, so that every part of it has a say.
    for weight in built.trainable_variables:
        weight.assign(weight * 3)
    return built


def step_through(model: LanguageModel, tokens: np.ndarray = TOKENS) -> np.ndarray:
    state, logits = model.initial_state(len(tokens)), []
    for column in tokens.T:
        next_logits, state = model.step(tf.constant(column), state)
        logits.append(next_logits.numpy())
    return np.stack(logits, axis=1)


@every_model
@pytest.mark.parametrize("layers", [1, 3])
def test_steps_give_the_logits_of_the_whole_window(model: str, layers: int) -> None:
    made = make(model, layers=layers)
    whole = made(TOKENS).numpy()
    assert whole.shape == (3, 7, SIZE)
    assert whole.dtype == np.float32
    assert whole.std() > 0.1
    np.testing.assert_allclose(step_through(made), whole, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_gives_nearly_the_same_logits_in_float32(model: str, precision: str) -> None:
    exact, made = make(model)(TOKENS).numpy(), make(model, precision=precision)
    layers = [*made._flatten_layers(include_self=False)]
    computing = {layer.compute_dtype for layer in layers if layer.name != "logits"}
    assert computing == {precision}
    assert {variable.dtype for variable in made.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    whole = made(TOKENS)
    assert whole.dtype == tf.float32
    tolerance = 0.02 if precision == "bfloat16" else 0.004
    assert 1e-6 < np.abs(whole - exact).max() < tolerance * exact.std() * 10
    np.testing.assert_allclose(step_through(made), whole, atol=tolerance * exact.std() * 10)


@every_model
def test_a_place_sees_what_is_before_it_and_nothing_after(model: str) -> None:
    made = make(model)
    whole = made(TOKENS).numpy()
    for place in range(7):
        changed = TOKENS.copy()
        changed[:, place] = (changed[:, place] + 1) % SIZE
        moved = np.abs(made(changed).numpy() - whole).max(axis=(0, 2)) > 1e-6
        np.testing.assert_array_equal(moved, np.arange(7) >= place)


@every_model
def test_targets_last_gives_the_last_logits_alone(model: str) -> None:
    last, sequence = make(model, targets="last"), make(model)
    assert last(TOKENS).shape == (3, SIZE)
    np.testing.assert_allclose(last(TOKENS).numpy(), sequence(TOKENS).numpy()[:, -1], atol=1e-5)
    np.testing.assert_allclose(step_through(last)[:, -1], last(TOKENS).numpy(), atol=1e-5)


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
    assert len(seeds) == 3 * 2 * (2 if model == "transformer" else 1)
    assert len(set(seeds)) == len(seeds)


@every_model
def test_xla_compiles_windows_and_steps_to_the_same_logits(model: str) -> None:
    made = make(model)
    compiled = tf.function(made, jit_compile=True)
    np.testing.assert_allclose(compiled(TOKENS), made(TOKENS), rtol=1e-5, atol=1e-5)
    expected = step_through(made)
    made.step = tf.function(made.step, jit_compile=True)
    np.testing.assert_allclose(step_through(made), expected, rtol=1e-5, atol=1e-5)
    assert made.step.experimental_get_tracing_count() == 1


@every_model
@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_xla_compiles_training_and_it_is_traced_once(model: str, targets: str) -> None:
    runner = StepRunner(
        strategy=tf.distribute.get_strategy(),
        model=make(model, targets=targets),
        optimizer=Adam(3e-2),
        batch_size=3,
        tokens_per_row=7 if targets == "sequence" else 1,
        jit=True,
    )
    labels = TOKENS if targets == "sequence" else TOKENS[:, 0]
    iterator = iter(tf.data.Dataset.from_tensors((TOKENS, labels)).repeat())
    losses = [float(runner.run_steps(iterator, tf.constant(n)).loss) for n in (1, 100, 5)]
    assert losses[-1] < losses[0] / 2
    assert runner.run_steps.experimental_get_tracing_count() == 1


@every_model
def test_a_keras_file_gives_the_model_back(model: str, tmp_path: Path) -> None:
    made = make(model, targets="last")
    made.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    if model != OWN:  # whose layers of Keras's do not keep all seeds
        assert loaded.get_config() == made.get_config()
        for one, other in zip(made.variables, loaded.variables, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=one.path)
    np.testing.assert_array_equal(loaded(TOKENS), made(TOKENS))
    np.testing.assert_array_equal(loaded(TOKENS, training=True), made(TOKENS, training=True))


@pytest.mark.parametrize("layers", [1, 2])
def test_the_cache_slides_as_the_mask_does(layers: int) -> None:
    """Beyond the context, `step` still gives what `call` gives."""
    tokens = np.random.default_rng(1).integers(SIZE, size=(2, 17)).astype(np.int32)
    for context in (1, 2, 5, 16, 17, 20):
        made = make("transformer", seq_len=context, layers=layers)
        np.testing.assert_allclose(step_through(made, tokens), made(tokens), atol=2e-5)


def test_a_block_reaches_as_far_as_its_context() -> None:
    made = make("transformer", seq_len=3, layers=1)
    whole = made(TOKENS).numpy()
    changed = TOKENS.copy()
    changed[:, 1] = (changed[:, 1] + 1) % SIZE
    moved = np.abs(made(changed).numpy() - whole).max(axis=(0, 2)) > 1e-6
    np.testing.assert_array_equal(moved, [False, True, True, True, False, False, False])


def test_rotation_leaves_products_to_the_distance() -> None:
    queries, keys = np.random.default_rng(2).normal(size=(2, 1, 1, 1, 8)).astype(np.float32)

    def product(query_position: int, key_position: int) -> float:
        query = rotate(tf.constant(queries), tf.constant([query_position]))
        return float(tf.reduce_sum(query * rotate(tf.constant(keys), tf.constant([key_position]))))

    assert product(5, 2) == pytest.approx(product(103, 100), abs=1e-4)
    assert product(5, 2) != pytest.approx(product(5, 3), abs=1e-2)
    assert product(0, 0) == pytest.approx(float((queries * keys).sum()), abs=1e-6)


def test_the_transformer_has_the_weights_of_its_recipe() -> None:
    units, hidden = 24, swiglu_width(24)
    assert (hidden, swiglu_width(256)) == (64, 688)
    model = Transformer(vocabulary_size=SIZE, num_layers=2, units=units, heads=3, context=4)
    model.build()
    block = 3 * units * units + units * units + 3 * units * hidden + 2 * units
    assert sum(int(np.prod(w.shape)) for w in model.trainable_variables) == (
        SIZE * units + 2 * block + units
    )
    assert all(isinstance(one, Block) for one in model.blocks)


def test_heads_change_the_transformer() -> None:
    logits = [make("transformer", heads=heads)(TOKENS).numpy() for heads in (1, 2, 3)]
    assert not np.allclose(logits[0], logits[1])
    assert not np.allclose(logits[1], logits[2])


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
