"""Runner of steps: compiled loops over a strategy's replicas, and the clock of their input."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.steps.step import ReplicaStep

_TIMED_EVERY = 16  # steps, of which the wait for input of one is measured on an accelerator


class _Sums(NamedTuple):
    """What replicas sum over steps: the losses, norms, skipped steps and steps, scalars.

    `bad` is the number of the first step that was not finite, counted from 1; 0 without one. The
    sums are of float64, in which sums of losses are exact: the same steps have the same mean
    however they were cut.
    """

    loss: tf.Tensor
    norm: tf.Tensor
    bad: tf.Tensor
    skipped: tf.Tensor
    steps: tf.Tensor


class StepMetrics(NamedTuple):
    """What `StepRunner.run_steps` measured.

    Attributes:
        loss: mean loss of the steps, nats a token, float64 scalar.
        bad_index: index among them of the first whose loss or gradients are not finite, int32
            scalar, or -1. A step that loss scaling skipped is not one of these.
        gradient_norm: mean of the global norm of the summed gradients, before clipping, over
            the steps that were not skipped, float64 scalar.
        num_skipped: steps that loss scaling skipped, int32 scalar.
        input_seconds: seconds in which the steps waited for their batches, float64 scalar: from
            the end of a step to the arrival of the next one's batch. On an accelerator it is
            measured at every `_TIMED_EVERY`th step and stands for all.
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
        runs_ahead: whether the host starts a step while the one before it is under way, so that
            an accelerator always has work. Else it waits for every step, which costs nothing on
            a CPU, where the host computes the steps itself.
    """

    def __init__(self, step: ReplicaStep, *, runs_ahead: bool = False) -> None:
        self.step = step
        self._train, self._evaluate = self._train_and_sum, self._evaluate_and_sum
        if step.recipe.jit and not step.recipe.halves:
            self._train = tf.function(self._train_and_sum, jit_compile=True)
            self._evaluate = tf.function(self._evaluate_and_sum, jit_compile=True)
        # TPUs have no float64.
        is_tpu = isinstance(step.strategy, tf.distribute.TPUStrategy)
        with step.strategy.scope():
            # A replica's own, so that nothing leaves its device: see `_Sums`.
            self._sums = tf.Variable(
                tf.zeros([len(_Sums._fields)], tf.float32 if is_tpu else tf.float64),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
        with tf.device("CPU"):
            self._stop = tf.Variable(0.0, trainable=False)
        self._has_hosts = isinstance(step.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self._runs_ahead = runs_ahead
        self._loop = self._loop_ahead if runs_ahead else self._loop_in_step
        self.run_steps = tf.function(self._run_steps)
        self.run_evaluation = tf.function(self._run_evaluation)

    def stop(self) -> None:
        """Ends what runs, on all hosts, soon: any thread may call it.

        On a CPU the steps end after the one under way or the next. Where the host runs ahead,
        after the next; with several hosts, which must tell each other, after two more.
        """
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
        self.step.strategy.run(lambda: self._sums.assign(tf.zeros_like(self._sums)))
        # A scope of the whole loop: its variables would else live on the accelerator.
        with tf.device("CPU"):
            input_seconds, num_steps = self._loop(iterator, num_steps)
        with tf.device("CPU"), tf.control_dependencies([num_steps]):
            (values,) = self.step.strategy.experimental_local_results(self._sums)[:1]
            sums = _Sums(*tf.unstack(tf.cast(tf.identity(values), tf.float64)))
        return StepMetrics(
            loss=sums.loss / sums.steps,
            bad_index=tf.cast(sums.bad, tf.int32) - 1,
            gradient_norm=sums.norm / tf.maximum(sums.steps - sums.skipped, 1.0),
            num_skipped=tf.cast(sums.skipped, tf.int32),
            input_seconds=input_seconds,
            num_steps=num_steps,
        )

    def _loop_in_step(
        self, iterator: Iterator[Any], num_steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Waits for each step, while which it fetches the next batch.

        Returns:
            The seconds of waiting for input, and the number of steps that were done.
        """
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
            done = self._start_step(batch)
            ended, batch = _time_after(done), following
            index, stops = index + 1, self._is_stopped(done)
        return input_seconds, index

    def _loop_ahead(
        self, iterator: Iterator[Any], num_steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Starts a step while the one before it is under way, and then waits for that one.

        So the accelerator has always a step to do, and the host is never further ahead: a signal
        would else be obeyed only after all the steps that were started. Of a step, its host
        fetches two numbers, when the next step has been started. Only a step whose input is timed
        waits for the end of the step before.

        Returns:
            As `_loop_in_step`.
        """
        input_seconds = tf.zeros([], tf.float64)
        last = tf.zeros([2])
        index, stops = tf.constant(0), tf.constant(False)
        while index < num_steps and not stops:
            is_timed, seconds = index % _TIMED_EVERY == 0, tf.zeros([], tf.float64)
            began = seconds
            if is_timed:
                began = _time_after(last)
            with tf.control_dependencies([began]):
                batch = next(iterator)
            if is_timed:
                seconds = _time_after(batch) - began
            input_seconds += seconds
            with tf.control_dependencies([seconds]):
                done = self._start_step(batch)
            index, stops = index + 1, self._is_stopped(last)
            last = tf.identity(done)
        num_timed = (index + _TIMED_EVERY - 1) // _TIMED_EVERY
        return input_seconds * tf.cast(index / num_timed, tf.float64), index

    def _start_step(self, batch: Any) -> tf.Tensor:
        """Runs a step on all replicas; returns what `_train_and_sum` does on the first here."""
        done = self.step.strategy.run(self._train, args=(*batch, self._own_stop()))
        first: tf.Tensor = self.step.strategy.experimental_local_results(done)[0]
        return first

    def _train_and_sum(self, inputs: Any, targets: tf.Tensor, stop: tf.Tensor) -> tf.Tensor:
        """Trains on a replica's rows, and adds to its sums; runs in a replica's context.

        Args:
            inputs: see `ReplicaStep.train`.
            targets: likewise.
            stop: whether this host was asked to stop, 1 or 0.

        Returns:
            `[2]` float32, the same on every replica, when the step is done: the loss, and how
            many replicas are of hosts that were asked to stop.
        """
        share, norm = self.step.train(inputs, targets)
        done = self._sum(tf.stack([share, stop]))
        loss, dtype = done[0], self._sums.dtype
        skipped = self._is_skipped(norm)
        is_bad = ~tf.math.is_finite(loss) | (~tf.math.is_finite(norm) & ~skipped)
        sums = _Sums(*tf.unstack(self._sums.read_value()))
        steps = sums.steps + 1.0
        updated = _Sums(
            loss=sums.loss + tf.cast(loss, dtype),
            norm=sums.norm + tf.cast(tf.where(skipped, 0.0, norm), dtype),
            bad=tf.where((sums.bad == 0.0) & is_bad, steps, sums.bad),
            skipped=sums.skipped + tf.cast(skipped, dtype),
            steps=steps,
        )
        self._sums.assign(tf.stack(updated))
        return done

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
        total, last = tf.zeros([2], tf.float64), tf.zeros([3])
        index, stops = tf.constant(0), tf.constant(False)
        with tf.device("CPU"):
            while index < num_steps and not stops:
                shares = self.step.strategy.run(
                    self._evaluate, args=(*next(iterator), self._own_stop())
                )
                done = tf.identity(self.step.strategy.experimental_local_results(shares)[0])
                total += tf.cast(done[:2], tf.float64)
                index, stops = index + 1, self._is_stopped(last if self._runs_ahead else done)
                last = done
        return total[0], total[1], index == num_steps

    def _evaluate_and_sum(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, stop: tf.Tensor
    ) -> tf.Tensor:
        """Measures a replica's rows; runs in a replica's context.

        Returns:
            `[3]` float32, the same on every replica: the sum of nats, the number of tokens, and
            how many replicas are of hosts that were asked to stop.
        """
        nats, num_tokens = self.step.evaluate(inputs, targets, weights)
        return self._sum(tf.stack([nats, num_tokens, stop]))

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        """Sums the values of all replicas; runs in a replica's context."""
        if self.step.strategy.num_replicas_in_sync == 1:
            return values
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

    def _own_stop(self) -> tf.Tensor:
        """Whether this host was asked to stop, 1 or 0, where others must be told; else 0."""
        return self._stop.read_value() if self._has_hosts else tf.zeros([])

    def _is_stopped(self, done: tf.Tensor) -> tf.Tensor:
        """Whether any host was asked to stop, as of a step that is done.

        All hosts must stop after the same step, or their collectives would not meet: what they
        say of it came with the step.
        """
        if self._has_hosts:
            return done[-1] > 0
        with tf.control_dependencies([tf.identity(done)]):
            return self._stop.read_value() > 0


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
