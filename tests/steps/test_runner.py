"""runner: one trace, steps that are not finite, waiting for input."""

import numpy as np
import pytest
import tensorflow as tf
from stepping import batches, losses_of, make_runner
from training import run_child


def test_steps_cut_differently_are_the_same_steps_traced_once() -> None:
    first, second = make_runner(), make_runner()
    whole, parts = losses_of(first, 12), losses_of(second, 1, 4, 7)
    assert whole[0] == pytest.approx(np.average(parts, weights=[1, 4, 7]), rel=1e-6)
    for one, other in zip(first.step.model.weights, second.step.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert second.run_steps.experimental_get_tracing_count() == 1


def test_gradients_that_are_not_finite_are_bad_though_the_loss_is() -> None:
    """Else weights that they spoiled would be saved before the next loss shows it."""
    runner = make_runner()
    runner.step.model.logits.kernel.assign(runner.step.model.logits.kernel * 1e37)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    metrics = runner.run_steps(iter(dataset), tf.constant(1))
    assert np.isfinite(metrics.loss)
    assert int(metrics.bad_index) == 0


def test_the_first_step_that_is_not_finite_is_named() -> None:
    runner = make_runner()
    kernel = runner.step.model.logits.kernel
    kernel.assign(kernel * np.nan)
    dataset = tf.data.Dataset.from_tensors(batches(0)[0]).repeat()
    assert int(runner.run_steps(iter(dataset), tf.constant(3)).bad_index) == 0


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
