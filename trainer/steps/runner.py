"""One training step, one evaluation step, and the compiled loops over them.

A step's loss is the sum over a replica's tokens divided by the number of tokens of the
*global* batch, so that summing losses or gradients over replicas gives the mean, whatever
the number of replicas.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from trainer.embeddings.freezing import Freeze
from trainer.steps.lanes import LaneState
from trainer.steps.loss import smoothed_nats, token_nats
from trainer.steps.optimization import Optimizer


class StepMetrics(NamedTuple):
    """What `StepRunner.run_steps` measured.

    Attributes:
        loss: mean loss of the steps, nats a token, float32 scalar.
        bad_index: index among them of the first whose loss or gradients are not finite, int32
            scalar, or -1. A step that loss scaling skipped is not one of these.
        gradient_norm: mean of the global norm of the summed gradients, before clipping, over
            the steps that were not skipped, float32 scalar.
        num_skipped: steps that loss scaling skipped, int32 scalar.
        input_seconds: time from the end of a step to the arrival of the next batch, which is
            asked for when that step begins, over all steps, float64 scalar; of the first
            batch, since it was asked for.
    """

    loss: tf.Tensor
    bad_index: tf.Tensor
    gradient_norm: tf.Tensor
    num_skipped: tf.Tensor
    input_seconds: tf.Tensor


class StepRunner:
    """Runs training and evaluation steps of one model under one strategy.

    Build it inside the strategy's scope: the optimizer's slots are created here, before
    anything is traced. `run_steps` and `run_evaluation` are traced once each.

    Args:
        strategy: where the steps run.
        model: a built model; `model(tokens, training=...)` gives logits.
        optimizer: of `trainer.steps.optimization`, without clipping of its own.
        batch_size: rows of the global batch.
        tokens_per_row: targets of one row: `seq_len`, or 1 with targets `"last"`.
        clip_norm: largest global norm of the summed gradients; 0 turns clipping off.
        accumulate_steps: parts into which a replica's rows are cut in training, one after
            the other, so that memory is needed for one part only; divides their number.
        label_smoothing: see `trainer.steps.loss.smoothed_nats`; acts in training alone.
        halves: whether a replica's rows are cut in two in training, side by side: a core each
            for the many small operations of a recurrent model on a CPU. Their number is even.
        jit: whether XLA compiles the per-replica steps; with `halves`, each half on its own.
        freeze: keeps a weight as it is for the first steps; None lets all move.
        lanes: reads on in training, with inputs `(tokens, resets)`; None for windows.
    """

    def __init__(
        self,
        *,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        optimizer: Optimizer,
        batch_size: int,
        tokens_per_row: int,
        clip_norm: float = 0.0,
        accumulate_steps: int = 1,
        label_smoothing: float = 0.0,
        halves: bool = False,
        jit: bool = False,
        freeze: Freeze | None = None,
        lanes: LaneState | None = None,
    ) -> None:
        self.strategy = strategy
        self.model = model
        self.optimizer = optimizer
        self.clip_norm = clip_norm
        self._accumulate_steps = accumulate_steps
        self._label_smoothing = label_smoothing
        self._halves = halves
        self._freeze = freeze
        self._lanes = lanes
        self._tokens_per_batch = batch_size * tokens_per_row
        self._tokens_per_row = tokens_per_row
        optimizer.build(model.trainable_variables)
        self._replica_train_step = self.train_step
        self._replica_eval_step = self.eval_step
        self._part = self._loss_and_gradients
        if jit:
            self._replica_eval_step = tf.function(self.eval_step, jit_compile=True)
        if jit and halves:
            self._part = tf.function(self._loss_and_gradients, jit_compile=True)
        elif jit:
            self._replica_train_step = tf.function(self.train_step, jit_compile=True)
        self.run_steps = tf.function(self._run_steps)
        self.run_evaluation = tf.function(self._run_evaluation)

    def train_step(self, inputs: Any, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Updates the weights with one replica's rows; runs in a replica's context.

        Args:
            inputs: `[rows, seq_len]` int32; with lanes, with their resets, bool.
            targets: `[rows, seq_len]` or `[rows]` int32.

        Returns:
            This replica's share of the mean loss, in nats a token, and the global norm of the
            summed gradients before clipping, the same on every replica; float32 scalars. The
            loss is there once the weights are updated, not before.
        """
        if self._halves:
            loss, gradients = self._side_by_side(inputs, targets)
        else:
            loss, gradients = self._accumulated(inputs, targets)
        if self.strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = self._update(gradients)
        updated = [tf.convert_to_tensor(weight.value) for weight in self.model.trainable_variables]
        with tf.control_dependencies(updated):
            return tf.identity(loss), norm

    def _accumulated(self, inputs: Any, targets: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and gradients of one replica's rows, part by part."""
        if self._accumulate_steps == 1:
            return self._loss_and_gradients(inputs, targets)
        # [parts, rows of a part, ...]
        parts = [
            tf.reshape(rows, [self._accumulate_steps, -1, *rows.shape[1:]])
            for rows in (inputs, targets)
        ]
        loss = tf.zeros([])
        gradients = [tf.zeros_like(weight.value) for weight in self.model.trainable_variables]
        for index in tf.range(self._accumulate_steps):
            part_loss, part_gradients = self._loss_and_gradients(parts[0][index], parts[1][index])
            loss += part_loss
            gradients = [
                total + part for total, part in zip(gradients, part_gradients, strict=True)
            ]
        return loss, gradients

    def _side_by_side(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[Any, list[tf.Tensor]]:
        """Loss and gradients of one replica's rows, from two parts that do not wait for each other.

        One part's next place waits for its last one alone; a whole batch's waits, at every
        place, until both cores are done with it.
        """
        halves = zip(tf.split(inputs, 2), tf.split(targets, 2), strict=True)
        (loss, gradients), (other_loss, others) = [self._part(*half) for half in halves]
        return loss + other_loss, [a + b for a, b in zip(gradients, others, strict=True)]

    def _loss_and_gradients(
        self, inputs: Any, targets: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """These rows' share of the mean loss, and its gradients: dense, scaled."""
        with tf.GradientTape() as tape:
            logits = self._logits(inputs)
            nats = smoothed_nats(targets, logits, self._label_smoothing)
            loss = tf.reduce_sum(nats) / self._tokens_per_batch
            scale = self.optimizer.loss_scale
            scaled_loss = loss if scale is None else loss * scale.value
        weights = [variable.value for variable in self.model.trainable_variables]
        # The embedding's sparse gradient has one slice a token and repeats ids: its norm is
        # not the gradient's. The dense one is exact and, for a vocabulary, small.
        return loss, [tf.convert_to_tensor(one) for one in tape.gradient(scaled_loss, weights)]

    def _logits(self, inputs: Any) -> tf.Tensor:
        if self._lanes is None:
            return self.model(inputs, training=True)
        return self._lanes.read(*inputs)

    def _update(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Changes the weights by summed gradients; returns the norm of these."""
        variables, step = self.model.trainable_variables, self.optimizer.iterations
        scale = self.optimizer.loss_scale
        if scale is not None:
            gradients = scale.unscaled(gradients)
        counted = self._freeze.counted(gradients, variables, step) if self._freeze else gradients
        norm = tf.linalg.global_norm(counted)
        finite = tf.math.is_finite(tf.linalg.global_norm(gradients) if self._freeze else norm)
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        with self._freeze.holding(step) if self._freeze else contextlib.nullcontext():
            if scale is None:
                self.optimizer.apply(gradients, variables)
            else:
                scale.apply_if(finite, self.optimizer, gradients, variables)
        return norm

    def eval_step(
        self, inputs: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Measures one replica's rows; runs in a replica's context.

        Args:
            inputs: `[rows, seq_len]` int32.
            targets: `[rows, seq_len]` or `[rows]` int32.
            weights: `[rows]` float32, 1 for a row that counts and 0 for one that does not.

        Returns:
            The sum of nats and the number of tokens over the rows that count, float32.
        """
        nats = token_nats(targets, self.model(inputs, training=False))
        row_nats = tf.reduce_sum(tf.reshape(nats, [-1, self._tokens_per_row]), axis=1)
        num_tokens = tf.reduce_sum(weights) * self._tokens_per_row
        return tf.reduce_sum(row_nats * weights), num_tokens

    def _run_steps(self, iterator: Iterator[Any], num_steps: tf.Tensor) -> StepMetrics:
        """Runs training steps without returning to Python.

        Args:
            iterator: of a distributed dataset of `(inputs, targets)`.
            num_steps: int32 scalar tensor, at least 1 (a Python number would be traced
                anew for every value).

        Returns:
            What was measured over these steps.
        """
        total_loss, total_norm = tf.zeros([]), tf.zeros([])
        bad_index, num_skipped = tf.constant(-1), tf.constant(0)
        input_seconds = tf.zeros([], tf.float64)
        ended = tf.timestamp()
        with tf.control_dependencies([ended]):
            batch, arrived = _timed(next(iterator))
        for index in tf.range(num_steps):
            input_seconds += tf.maximum(arrived - ended, 0.0)
            following = batch
            if index + 1 < num_steps:
                # Beside this step, which does not wait for it.
                following, arrived = _timed(next(iterator))
            shares, same_norms = self.strategy.run(self._replica_train_step, args=batch)
            loss = self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)
            norm = self.strategy.reduce(tf.distribute.ReduceOp.MEAN, same_norms, axis=None)
            ended, batch = _time_after(loss), following
            skipped = self._is_skipped(norm)
            is_bad = ~tf.math.is_finite(loss) | (~tf.math.is_finite(norm) & ~skipped)
            bad_index = tf.where((bad_index < 0) & is_bad, index, bad_index)
            total_loss += loss
            total_norm += tf.where(skipped, 0.0, norm)
            num_skipped += tf.cast(skipped, tf.int32)
        num_updates = tf.cast(tf.maximum(num_steps - num_skipped, 1), tf.float32)
        return StepMetrics(
            loss=total_loss / tf.cast(num_steps, tf.float32),
            bad_index=bad_index,
            gradient_norm=total_norm / num_updates,
            num_skipped=num_skipped,
            input_seconds=input_seconds,
        )

    def _is_skipped(self, norm: tf.Tensor) -> tf.Tensor:
        """Whether loss scaling skipped the last step, and may find a scale that works."""
        scale = self.optimizer.loss_scale
        if scale is None:
            return tf.constant(False)
        return ~tf.math.is_finite(norm) & (scale.value >= 1)

    def _run_evaluation(
        self, iterator: Iterator[Any], num_steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Runs evaluation steps without returning to Python.

        Args:
            iterator: of a distributed dataset of `(inputs, targets, weights)`.
            num_steps: int32 scalar tensor.

        Returns:
            The sum of nats and the number of tokens, float64 scalars: a float32 sum over
            millions of tokens would lose digits.
        """
        nats = tf.zeros([], tf.float64)
        num_tokens = tf.zeros([], tf.float64)
        for _ in tf.range(num_steps):
            pair = self.strategy.run(self._replica_eval_step, args=next(iterator))
            # One by one: several hosts would take a pair for one tensor.
            step_nats, step_tokens = (
                self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, axis=None) for value in pair
            )
            nats += tf.cast(step_nats, tf.float64)
            num_tokens += tf.cast(step_tokens, tf.float64)
        return nats, num_tokens


def _timed(values: Any) -> tuple[Any, tf.Tensor]:
    """Returns values and the time at which they are there; who uses them waits for the clock.

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
