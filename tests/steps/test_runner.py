"""runner: one trace, steps that are not finite, waiting for input."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from stepping import batches, losses_of, make_runner
from training import run_child

from trainer.steps.runner import StepRunner


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


def test_a_host_that_runs_ahead_does_the_same_steps() -> None:
    plain, ahead = make_runner(), StepRunner(make_runner().step, runs_ahead=True)
    assert losses_of(ahead, 1, 4, 20) == losses_of(plain, 1, 4, 20)
    for one, other in zip(plain.step.model.weights, ahead.step.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert ahead.run_steps.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("runs_ahead", [False, True])
def test_a_stop_ends_the_steps(runs_ahead: bool) -> None:
    runner = StepRunner(make_runner().step, runs_ahead=runs_ahead)
    data = batches(0)
    inputs, targets = (np.stack(arrays) for arrays in zip(*data, strict=True))
    endless = tf.data.Dataset.from_tensor_slices((inputs, targets)).repeat()

    def stop_at(index: tf.Tensor, batch: tuple[tf.Tensor, tf.Tensor]) -> Any:
        def stop(index: tf.Tensor) -> tf.Tensor:
            if index == 5:
                runner.stop()
            return index

        late = tf.cast(tf.py_function(stop, [index], tf.int64), tf.int32)
        return batch[0] + 0 * tf.ensure_shape(late, []), batch[1]

    metrics = runner.run_steps(iter(endless.enumerate().map(stop_at)), tf.constant(10**6))
    # Batch 5 is asked for before step 5, or beside step 4: nothing in the graph orders the two.
    # What runs ahead goes on for a step with the batch that it has.
    assert 4 <= int(metrics.num_steps) <= (7 if runs_ahead else 6)
    measured = tf.data.Dataset.from_tensors((*data[0], np.ones([4, 5], np.float32))).repeat()
    _, num_tokens, is_whole = runner.run_evaluation(iter(measured), tf.constant(10**6))
    assert (float(num_tokens), bool(is_whole)) == (20, False)


# What leaves the second of two devices while steps run, by the graphs that TensorFlow has cut for
# the devices: the tensors' names and bytes.
FETCHED = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tensorflow.python.eager import context
from training import tiny
from trainer.models import build_model
from trainer.steps.assembly import step_recipe
from trainer.steps.optimization import make_optimizer
from trainer.steps.runner import StepRunner
from trainer.steps.step import ReplicaStep

config = tiny(
    "unused", "unused", model="transformer", units=16, layers=1, embedding_dim=None, jit="off"
)
strategy = tf.distribute.OneDeviceStrategy("/device:CPU:1")
with strategy.scope():
    model = build_model(config, 9, use_cudnn=False)
    step = ReplicaStep(
        strategy, model, make_optimizer(config, model), step_recipe(config, strategy)
    )
runner = StepRunner(step, runs_ahead=True)
tokens = tf.zeros([config.batch_size, config.seq_len], tf.int32)
dataset = tf.data.Dataset.from_tensors((tokens, tokens)).repeat()
iterator = iter(strategy.distribute_datasets_from_function(lambda _: dataset))
context.context().enable_graph_collection()
assert int(runner.run_steps(iterator, tf.constant(3)).num_steps) == 3
collected = context.context().export_run_metadata()
for function in collected.function_graphs:
    for graph in function.partition_graphs:
        for node in graph.node:
            if node.op in ("_Send", "_HostSend"):
                source = node.attr["send_device"].s.decode()[-1]
                target = node.attr["recv_device"].s.decode()[-1]
                print(source, target, node.input[0])
"""


def test_of_a_step_its_result_alone_leaves_the_accelerator() -> None:
    sends = [line.split() for line in run_child(FETCHED).splitlines()]
    assert ["0", "1"] in [send[:2] for send in sends]  # so that there are two devices
    names = [name for source, target, name in sends if (source, target) == ("1", "0")]
    # Control edges carry no values.
    values = [name for name in names if "/ctrl/" not in name and "while/body" in name]
    # The loss and the wish to stop, stacked.
    assert [name.rpartition("/")[2].partition("_")[0] for name in values] == ["stack"], values


SLOW_INPUT = """
import sys
import time
import tensorflow as tf
if sys.argv[1] == "mirrored":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from training import tiny
from trainer.steps.assembly import assemble
from trainer.steps.runner import StepRunner
config = tiny("unused", "unused", strategy=sys.argv[1], jit=sys.argv[2])
assembly = assemble(config, 9)
runner = assembly.runner
if sys.argv[3] == "ahead":
    runner = StepRunner(runner.step, runs_ahead=True)
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
    runner.run_steps(iterator, tf.constant(1))
    began = time.perf_counter()
    waited = float(runner.run_steps(iterator, tf.constant(num_steps)).input_seconds)
    print(waited, time.perf_counter() - began)

seconds(0.0, 20)
seconds(0.3, 5)
"""


@pytest.mark.parametrize(
    ("strategy", "jit", "host"),
    [
        ("one_device", "off", "in step"),
        ("one_device", "on", "in step"),
        ("mirrored", "off", "in step"),
        ("mirrored", "off", "ahead"),
    ],
)
def test_waiting_for_input_is_measured(strategy: str, jit: str, host: str) -> None:
    fast, slow = run_child(SLOW_INPUT, strategy, jit, host).splitlines()
    waited, whole = map(float, fast.split())
    # Next to nothing a step, but the machine may be busy: a third of what comes below.
    assert 0 <= waited < min(whole, 20 * 0.1)
    waited, whole = map(float, slow.split())
    # A batch is 0.3 s on its way, the first perhaps already; a short step hides little of it.
    assert whole > 4 * 0.3
    assert (0.4 if host == "ahead" else 0.7) * whole < waited <= whole
