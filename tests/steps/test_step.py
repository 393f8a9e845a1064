"""step: the loss, clipping, parts and halves, evaluation."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from modelling import build, make
from stepping import batches, losses_of, make_runner

from trainer.config.model import MODELS
from trainer.steps.optimization import Adam


class Descent(Adam):
    """Without moments, which Keras's `fit` computes otherwise for an embedding's rows."""

    def update_step(self, gradient, variable, learning_rate):  # type: ignore[no-untyped-def]
        self.assign_sub(variable, gradient * learning_rate)


def test_the_loss_is_the_mean_over_tokens_of_minus_log_probability() -> None:
    runner = make_runner()
    inputs, targets = batches(0)[0]
    probabilities = tf.nn.softmax(runner.step.model(inputs)).numpy()
    chosen = np.take_along_axis(probabilities, targets[..., np.newaxis], axis=-1)
    assert losses_of(runner, 1) == [pytest.approx(-np.log(chosen).mean(), rel=1e-5)]


ROW_WEIGHTS = [[1.0] * 5, [0.0] * 5, [1.0] * 5, [1.0] * 5]


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("jit", [False, True])
def test_halves_side_by_side_are_the_whole_batch(jit: bool) -> None:
    halves, whole = make_runner(halves=True, jit=jit), make_runner()
    assert losses_of(halves, 1, 4, 7) == pytest.approx(losses_of(whole, 1, 4, 7), rel=1e-5)
    for one, other in zip(halves.step.model.weights, whole.step.model.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4, err_msg=one.path)
    assert halves.run_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("jit", [False, True])
def test_halves_are_measured_as_the_whole_batch(jit: bool) -> None:
    rows = (*map(tf.constant, batches(0)[0]), tf.constant(ROW_WEIGHTS))
    nats, num_tokens = make_runner(halves=True, jit=jit).step.evaluate(*rows)
    expected, num_expected = make_runner().step.evaluate(*rows)
    assert (float(nats), float(num_tokens)) == (
        pytest.approx(float(expected), rel=1e-6),
        float(num_expected),
    )


@pytest.mark.usefixtures("fused_or_not")
@pytest.mark.parametrize("model", MODELS)
def test_jit_trains_the_same_model(model: str) -> None:
    compiled, plain = [
        losses_of(make_runner(build(model, 9, dropout=0.2), jit=jit), 12) for jit in (True, False)
    ]
    assert compiled == pytest.approx(plain, rel=1e-3)


def test_clipping_bounds_the_norm_of_all_gradients_together() -> None:
    """With plain descent at rate 1 the change of the weights is the gradient."""
    reported = []

    def norm_of_change(clip_norm: float) -> float:
        runner = make_runner(clip_norm=clip_norm)
        runner.step.optimizer = Descent(1.0)
        runner.step.optimizer.build(runner.step.model.trainable_variables)
        before = [weight.numpy() for weight in runner.step.model.trainable_variables]
        reported.append(float(runner.step.train(*map(tf.constant, batches(0)[0]))[1]))
        after = [weight.numpy() for weight in runner.step.model.trainable_variables]
        return float(np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(after, before, strict=True))))

    free = norm_of_change(0.0)
    assert norm_of_change(free / 3) == pytest.approx(free / 3, rel=1e-4)
    assert norm_of_change(free * 3) == pytest.approx(free, rel=1e-5)
    assert reported == pytest.approx([free] * 3, rel=1e-5)  # the norm before clipping


@pytest.mark.parametrize("jit", [False, True])
def test_a_step_in_parts_is_the_whole_step_traced_once(jit: bool) -> None:
    whole, parts = (
        make_runner(clip_norm=0.1),
        make_runner(clip_norm=0.1, accumulate_steps=2, jit=jit),
    )
    np.testing.assert_allclose(losses_of(parts, 1, 11), losses_of(whole, 1, 11), rtol=1e-5)
    for one, other in zip(whole.step.model.weights, parts.step.model.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert parts.run_steps.experimental_get_tracing_count() == 1


def test_smoothing_acts_in_training_alone() -> None:
    plain, smooth = make_runner(), make_runner(label_smoothing=0.5)
    inputs, targets = map(tf.constant, batches(0)[0])
    for runner in (plain, smooth):  # so that the logits are far from equal
        runner.step.model.logits.kernel.assign(runner.step.model.logits.kernel * 20)
    weights = tf.ones([4, 5])
    assert smooth.step.evaluate(inputs, targets, weights) == plain.step.evaluate(
        inputs, targets, weights
    )
    assert losses_of(smooth, 1) != pytest.approx(losses_of(plain, 1), rel=1e-3)


@pytest.mark.parametrize("options", [{}, {"halves": True}, {"halves": True, "jit": True}])
def test_rows_of_weight_0_count_for_nothing(options: dict[str, bool]) -> None:
    runner = make_runner(**options)
    inputs, targets = map(tf.constant, batches(0)[0])
    nats, num_tokens = runner.step.evaluate(inputs, targets, tf.constant(ROW_WEIGHTS))
    rows = make_runner().step
    expected = [
        rows.evaluate(inputs[row:][:1], targets[row:][:1], tf.ones([1, 5]))[0] for row in (0, 2, 3)
    ]
    assert float(num_tokens) == 15
    assert float(nats) == pytest.approx(float(sum(expected)), rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"jit": True}, {"accumulate_steps": 2}])
def test_losses_that_layers_add_are_trained_on_as_by_fit(options: dict[str, Any]) -> None:
    step = make_runner(make("own_models:penalised", seq_len=5), Descent(0.1), **options).step
    fitted = make("own_models:penalised", seq_len=5).network
    fitted.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    train = tf.function(step.train, jit_compile=bool(options.get("jit")))
    for inputs, targets in batches(0)[:4]:
        loss, _ = train(tf.constant(inputs), tf.constant(targets))
        nats = keras.losses.sparse_categorical_crossentropy(
            targets, fitted(inputs), from_logits=True
        )
        # What is told is in nats a token, without what layers add.
        assert float(loss) == pytest.approx(float(tf.reduce_mean(nats)), rel=1e-4)
        fitted.train_on_batch(inputs, targets)
    for weight, expected in zip(step.model.weights, fitted.weights, strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-5, err_msg=expected.path)
