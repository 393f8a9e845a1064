"""Runner of steps: compiled loops over a strategy's replicas, and the clock of their input."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.steps.step import ReplicaStep


class StepMetrics(NamedTuple):
    """What `StepRunner.run_steps` measured.

    Attributes:
        loss: mean loss of the steps, nats a token, float64 scalar.
        bad_index: index among them of the first whose loss or gradients are not finite, int32
            scalar, or -1. A step that loss scaling skipped is not one of these.
        gradient_norm: mean of the global norm of the summed gradients, before clipping, over
            the steps that were not skipped, float64 scalar.
        num_skipped: steps that loss scaling skipped, int32 scalar.
        input_seconds: seconds in which the steps waited for their batches, float64 scalar. A
            batch is asked for when the step before it begins; the wait for it lasts from the
            end of that step to its arrival. The wait for the first batch begins when it is
            asked for.
        num_steps: steps that were done, int32 scalar: fewer than asked for after `stop`.
    """

    loss: tf.Tensor
    bad_index: tf.Tensor
    gradient_norm: tf.Tensor
    num_skipped: tf.Tensor
    input_seconds: tf.Tensor
    num_steps: tf.Tensor


class StepRunner:
    """Runs training and evaluation steps of all replicas; each loop is traced once.

    Args:
        step: what each replica does with its rows.
    """

    def __init__(self, step: ReplicaStep) -> None:
        self.step = step
        self._train, self._evaluate = step.train, step.evaluate
        if step.recipe.jit:
            self._evaluate = tf.function(step.evaluate, jit_compile=True)
        if step.recipe.jit and not step.recipe.halves:
            self._train = tf.function(step.train, jit_compile=True)
        with tf.device("CPU"):
            self._stop = tf.Variable(0.0, trainable=False)
        self.run_steps = tf.function(self._run_steps)
        self.run_evaluation = tf.function(self._run_evaluation)

    def stop(self) -> None:
        """Ends what runs, on all hosts, after the step under way or the next; any thread may."""
        self._stop.assign(1.0)

    def _run_steps(self, iterator: Iterator[Any], num_steps: tf.Tensor) -> StepMetrics:
        """Runs training steps without returning to Python.

        Args:
            iterator: of a distributed dataset of `(inputs, targets)`.
            num_steps: int32 scalar tensor, at least 1 (a Python number would be traced
                anew for every value). At least one step is done.

        Returns:
            What was measured over these steps.
        """
        # Exact, so that the same steps have the same mean however they were cut.
        total_loss, total_norm = tf.zeros([], tf.float64), tf.zeros([], tf.float64)
        bad_index, num_skipped = tf.constant(-1), tf.constant(0)
        input_seconds = tf.zeros([], tf.float64)
        ended = tf.timestamp()
        with tf.control_dependencies([ended]):
            batch, arrived = _timed(next(iterator))
        index, stops = tf.constant(0), tf.constant(False)
        while index < num_steps and not stops:
            input_seconds += tf.maximum(arrived - ended, 0.0)
            following = batch
            if index + 1 < num_steps:
                # Beside this step, which does not wait for it.
                following, arrived = _timed(next(iterator))
            shares, same_norms = self.step.strategy.run(self._train, args=batch)
            loss = self._sum(shares)
            norm = self.step.strategy.reduce(tf.distribute.ReduceOp.MEAN, same_norms, axis=None)
            ended, batch = _time_after(loss), following
            skipped = self._is_skipped(norm)
            is_bad = ~tf.math.is_finite(loss) | (~tf.math.is_finite(norm) & ~skipped)
            bad_index = tf.where((bad_index < 0) & is_bad, index, bad_index)
            total_loss += tf.cast(loss, tf.float64)
            total_norm += tf.cast(tf.where(skipped, 0.0, norm), tf.float64)
            num_skipped += tf.cast(skipped, tf.int32)
            index, stops = index + 1, self._is_stopped(loss)
        num_steps = index
        num_updates = tf.cast(tf.maximum(num_steps - num_skipped, 1), tf.float64)
        return StepMetrics(
            loss=total_loss / tf.cast(num_steps, tf.float64),
            bad_index=bad_index,
            gradient_norm=total_norm / num_updates,
            num_skipped=num_skipped,
            input_seconds=input_seconds,
            num_steps=num_steps,
        )

    def _is_skipped(self, norm: tf.Tensor) -> tf.Tensor:
        """Whether loss scaling skipped the last step, and may find a scale that works."""
        scale = self.step.optimizer.loss_scale
        if scale is None:
            return tf.constant(False)
        return ~tf.math.is_finite(norm) & (scale.value >= 1)

    def _run_evaluation(
        self, iterator: Iterator[Any], num_steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Runs evaluation steps without returning to Python.

        Args:
            iterator: of a distributed dataset of `(inputs, targets, weights)`.
            num_steps: int32 scalar tensor.

        Returns:
            The sum of nats and the number of tokens, float64 scalars: a float32 sum over
            millions of tokens would lose digits. And whether all steps were done, a bool scalar:
            not so after `stop`.
        """
        nats = tf.zeros([], tf.float64)
        num_tokens = tf.zeros([], tf.float64)
        index, stops = tf.constant(0), tf.constant(False)
        while index < num_steps and not stops:
            pair = self.step.strategy.run(self._evaluate, args=next(iterator))
            # One by one: several hosts would take a pair for one tensor.
            step_nats, step_tokens = (self._sum(value) for value in pair)
            nats += tf.cast(step_nats, tf.float64)
            num_tokens += tf.cast(step_tokens, tf.float64)
            index, stops = index + 1, self._is_stopped(step_nats)
        return nats, num_tokens, index == num_steps

    def _sum(self, values: Any) -> tf.Tensor:
        """Sums the values of all replicas."""
        return self.step.strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)

    def _is_stopped(self, result: tf.Tensor) -> tf.Tensor:
        """Whether any host was asked to stop, by the time that a step's result is there.

        All hosts must stop after the same step, or their collectives would not meet.
        """
        with tf.device("CPU"), tf.control_dependencies([result]):
            stop = self._stop.read_value()
        if isinstance(self.step.strategy, tf.distribute.MultiWorkerMirroredStrategy):
            stop = self._sum(self.step.strategy.run(tf.identity, args=(stop,)))
        return stop > 0


def _timed(values: Any) -> tuple[Any, tf.Tensor]:
    """Returns values and the time at which they are there; what uses them waits for the clock.

    Read beside the step that uses them, the clock would wait for a free thread, at times for
    the whole step.
    """
    time = _time_after(values)

    def after_clock(value: tf.Tensor) -> tf.Tensor:
        with tf.device(value.device), tf.control_dependencies([time]):
            return tf.identity(value)

    return tf.nest.map_structure(after_clock, values, expand_composites=True), time


def _time_after(values: Any) -> tf.Tensor:
    """Reads the host's clock once some values are there: seconds, float64.

    Args:
        values: a nested structure of tensors and replicas' values. They are copied to the
            host's CPU, which a GPU does only after it has computed them.
    """
    with tf.device("CPU"):
        copies = [tf.identity(value) for value in tf.nest.flatten(values, expand_composites=True)]
        with tf.control_dependencies(copies):
            return tf.timestamp()
