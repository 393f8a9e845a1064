"""Models: `call` and `step` agree, XLA compiles them, files hold them, for every kind."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelling import OWN, SIZE, TOKENS, build, every_model, make, step_through
from stepping import make_runner

from trainer.config.model import MODELS
from trainer.steps import cross_entropy
from trainer.steps.optimization import Adam
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep, StepRecipe


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
        ReplicaStep(
            tf.distribute.get_strategy(),
            make(model, targets=targets),
            Adam(3e-2),
            StepRecipe(batch_size=3, tokens_per_row=7 if targets == "sequence" else 1, jit=True),
        )
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


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_no_tensor_of_training_is_as_large_as_the_logits(
    model: str, jit: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is there a gradient of every place, id and unit, which would take all memory."""
    monkeypatch.setattr(cross_entropy, "_PART_LOGITS", 2**15)  # of 4 rows
    num_ids, tokens = 8192, np.zeros([16, 9], np.int32)
    made = build(model, num_ids, seq_len=8, units=12, embedding_dim=None, layers=1)
    runner = make_runner(made)

    @tf.function(jit_compile=jit)
    def train() -> tf.Tensor:
        return runner.step.train(tf.constant(tokens[:, :-1]), tf.constant(tokens[:, 1:]))[0]

    operations = train.get_concrete_function().graph.get_operations()
    sizes = [output.shape.num_elements() or 0 for one in operations for output in one.outputs]
    # The embedding's gradient and the like have an element a weight.
    weights = [weight.shape.num_elements() for weight in made.trainable_variables]
    assert max(sizes) == max(weights) < 16 * 8 * num_ids
    assert np.isfinite(train())
