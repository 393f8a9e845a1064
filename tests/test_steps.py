"""runner: the loss, clipping, one trace, and any number of replicas."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import checkpoint_arrays, run_child, tiny

from pipeline import Corpus
from trainer.hosts.strategy import make_strategy
from trainer.loop import train
from trainer.models import LanguageModel, build_model
from trainer.models.recurrent import RecurrentModel
from trainer.steps.feed import training_feed
from trainer.steps.optimization import Adam, Optimizer
from trainer.steps.runner import StepRunner


def make_runner(
    model: LanguageModel | None = None, optimizer: Optimizer | None = None, **options: Any
) -> StepRunner:
    keras.utils.set_random_seed(1)
    if model is None:
        model = RecurrentModel(
            cell="lstm", vocabulary_size=9, num_layers=1, units=8, embedding_dim=4
        )
        model.build()
    strategy = tf.distribute.get_strategy()
    return StepRunner(
        strategy=strategy,
        model=model,
        optimizer=optimizer or Adam(1e-2),
        batch_size=4,
        tokens_per_row=5,
        **options,
    )


def batches(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    tokens = np.random.default_rng(seed).integers(9, size=(40, 4, 6)).astype(np.int32)
    return [(batch[:, :-1], batch[:, 1:]) for batch in tokens]


def run(runner: StepRunner, *counts: int) -> list[float]:
    data = batches(0)
    dataset = tf.data.Dataset.from_tensor_slices(
        (np.stack([x for x, _ in data]), np.stack([y for _, y in data]))
    )
    iterator = iter(dataset)
    return [float(runner.run_steps(iterator, tf.constant(n)).loss) for n in counts]


def test_the_loss_is_the_mean_over_tokens_of_minus_log_probability() -> None:
    runner = make_runner()
    inputs, targets = batches(0)[0]
    probabilities = tf.nn.softmax(runner.model(inputs)).numpy()
    chosen = np.take_along_axis(probabilities, targets[..., np.newaxis], axis=-1)
    assert run(runner, 1) == [pytest.approx(-np.log(chosen).mean(), rel=1e-5)]


def test_steps_cut_differently_are_the_same_steps_traced_once() -> None:
    first, second = make_runner(), make_runner()
    whole, parts = run(first, 12), run(second, 1, 4, 7)
    assert whole[0] == pytest.approx(np.average(parts, weights=[1, 4, 7]), rel=1e-6)
    for one, other in zip(first.model.weights, second.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert second.run_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("jit", [False, True])
def test_halves_side_by_side_are_the_whole_batch(jit: bool) -> None:
    halves, whole = make_runner(halves=True, jit=jit), make_runner()
    assert run(halves, 1, 4, 7) == pytest.approx(run(whole, 1, 4, 7), rel=1e-5)
    for one, other in zip(halves.model.weights, whole.model.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4, err_msg=one.path)
    assert halves.run_steps.experimental_get_tracing_count() == 1


def test_jit_trains_the_same_model() -> None:
    assert run(make_runner(jit=True), 12) == [pytest.approx(run(make_runner(), 12)[0], rel=1e-4)]


def test_clipping_bounds_the_norm_of_all_gradients_together() -> None:
    """With plain descent at rate 1 the change of the weights is the gradient."""

    class Descent(Adam):
        def update_step(self, gradient, variable, learning_rate):  # type: ignore[no-untyped-def]
            self.assign_sub(variable, gradient)

    reported = []

    def norm_of_change(clip_norm: float) -> float:
        runner = make_runner(clip_norm=clip_norm)
        runner.optimizer = Descent(1.0)
        runner.optimizer.build(runner.model.trainable_variables)
        before = [weight.numpy() for weight in runner.model.trainable_variables]
        reported.append(float(runner.train_step(*map(tf.constant, batches(0)[0]))[1]))
        after = [weight.numpy() for weight in runner.model.trainable_variables]
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
    np.testing.assert_allclose(run(parts, 1, 11), run(whole, 1, 11), rtol=1e-5)
    for one, other in zip(whole.model.weights, parts.model.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)
    assert parts.run_steps.experimental_get_tracing_count() == 1


def test_smoothing_acts_in_training_alone() -> None:
    plain, smooth = make_runner(), make_runner(label_smoothing=0.5)
    inputs, targets = map(tf.constant, batches(0)[0])
    for runner in (plain, smooth):  # so that the logits are far from equal
        runner.model.logits.kernel.assign(runner.model.logits.kernel * 20)
    weights = tf.ones([4])
    assert smooth.eval_step(inputs, targets, weights) == plain.eval_step(inputs, targets, weights)
    assert run(smooth, 1) != pytest.approx(run(plain, 1), rel=1e-3)


def test_gradients_that_are_not_finite_are_bad_though_the_loss_is() -> None:
    """Else weights that they spoiled would be saved before the next loss shows it."""
    runner = make_runner()
    runner.model.logits.kernel.assign(runner.model.logits.kernel * 1e37)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    metrics = runner.run_steps(iter(dataset), tf.constant(1))
    assert np.isfinite(metrics.loss)
    assert int(metrics.bad_index) == 0


def test_rows_of_weight_0_count_for_nothing() -> None:
    runner = make_runner()
    inputs, targets = map(tf.constant, batches(0)[0])
    nats, num_tokens = runner.eval_step(inputs, targets, tf.constant([1.0, 1.0, 0.0, 0.0]))
    half, _ = runner.eval_step(inputs[:2], targets[:2], tf.ones([2]))
    assert float(num_tokens) == 10
    assert float(nats) == pytest.approx(float(half), rel=1e-6)


def test_the_first_step_that_is_not_finite_is_named() -> None:
    runner = make_runner()
    kernel = runner.model.logits.kernel
    kernel.assign(kernel * np.nan)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    assert int(runner.run_steps(iter(dataset), tf.constant(3)).bad_index) == 0


@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_the_step_of_a_run_compiles_and_every_shape_is_static(
    char_corpus: Corpus, targets: str
) -> None:
    """What a TPU will ask for; and several hosts, that a batch always comes."""
    config = tiny(char_corpus.directory, "unused", targets=targets, jit="on")
    strategy = make_strategy(config)
    feed = training_feed(strategy, char_corpus, config, start_step=0)
    assert feed.cardinality == tf.data.INFINITE_CARDINALITY
    assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(feed.element_spec))
    with strategy.scope():
        runner = StepRunner(
            strategy=strategy,
            model=build_model(config, char_corpus.vocabulary.size, use_cudnn=False),
            optimizer=Adam(),
            batch_size=config.batch_size,
            tokens_per_row=config.seq_len if targets == "sequence" else 1,
            jit=True,
        )
    metrics = runner.run_steps(iter(feed), tf.constant(2))
    assert 0 < float(metrics.loss) < 10
    assert int(metrics.bad_index) == -1


TWO_REPLICAS = """
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


def test_two_replicas_train_what_one_does(char_corpus: Corpus, tmp_path: Path) -> None:
    corpus = char_corpus.directory
    options = {"dropout": 0.0, "eval_every": 12}
    one = train(tiny(corpus, tmp_path / "one", clip_norm=0.05, **options), quiet=True)
    unclipped = train(tiny(corpus, tmp_path / "free", clip_norm=0, **options), quiet=True)
    loss, validation_loss, checkpoint = run_child(
        TWO_REPLICAS, corpus, str(tmp_path / "two")
    ).split()
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


SLOW_INPUT = """
import sys
import time
import tensorflow as tf
if sys.argv[1] == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.steps.assembly import assemble
config = tiny("unused", "unused", strategy=sys.argv[1], jit=sys.argv[2])
assembly = assemble(config, 9)
rows = config.batch_size // assembly.strategy.num_replicas_in_sync

def seconds(delay, num_steps):
    def wait(inputs, targets):
        def sleep():
            time.sleep(delay)
            return 0
        late = tf.ensure_shape(tf.py_function(sleep, [], tf.int32), [])
        return inputs + late, targets
    tokens = tf.zeros([rows, config.seq_len], tf.int32)
    dataset = tf.data.Dataset.from_tensors((tokens, tokens)).repeat()
    if delay:
        dataset = dataset.map(wait)
    iterator = iter(assembly.strategy.distribute_datasets_from_function(lambda _: dataset))
    assembly.runner.run_steps(iterator, tf.constant(1))
    began = time.perf_counter()
    waited = float(assembly.runner.run_steps(iterator, tf.constant(num_steps)).input_seconds)
    print(waited, time.perf_counter() - began)

seconds(0.0, 20)
seconds(0.3, 5)
"""


@pytest.mark.parametrize(
    ("strategy", "jit"), [("one_device", "off"), ("one_device", "on"), ("mirrored", "off")]
)
def test_waiting_for_input_is_measured(strategy: str, jit: str) -> None:
    fast, slow = run_child(SLOW_INPUT, strategy, jit).splitlines()
    waited, whole = map(float, fast.split())
    # Next to nothing a step, but the machine may be busy: a third of what comes below.
    assert 0 <= waited < min(whole, 20 * 0.1)
    waited, whole = map(float, slow.split())
    # A batch is 0.3 s on its way, the first perhaps already; a short step hides little of it.
    assert whole > 4 * 0.3
    assert 0.7 * whole < waited <= whole
