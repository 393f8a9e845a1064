"""Step of one replica: the loss of its rows, and what their gradients do to the weights.

A step's loss is the sum over a replica's tokens divided by the number of tokens of the
*global* batch, so that summing losses or gradients over replicas gives the mean, whatever
the number of replicas.

Nothing here is rewritten by AutoGraph, which took two thirds of the time of tracing a step.
"""

import contextlib
import dataclasses
from typing import Any

import tensorflow as tf

from trainer.embeddings.freezing import Freeze
from trainer.models import LanguageModel
from trainer.models.head import Head
from trainer.models.parts.dropout import seed_generators
from trainer.steps.averaging import WeightAverage
from trainer.steps.cross_entropy import summed_nats, token_nats
from trainer.steps.lanes import LaneState
from trainer.steps.optimization import Optimizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRecipe:
    """How a step is computed.

    Attributes:
        batch_size: rows of the global batch.
        tokens_per_row: targets of one row: `seq_len`, or 1 with targets `"last"`.
        clip_norm: largest global norm of the summed gradients; 0 turns clipping off.
        accumulate_steps: parts into which a replica's rows are cut in training, one after
            the other, so that memory is needed for one part only; divides their number.
        label_smoothing: see `trainer.steps.cross_entropy.summed_nats`; acts in training alone.
        halves: whether a replica's rows are cut in two, side by side: a core each for the many
            small operations of a model on a CPU. Their number is even.
        jit: whether XLA compiles the steps of a replica; with `halves`, each half on its own.
    """

    batch_size: int
    tokens_per_row: int
    clip_norm: float = 0.0
    accumulate_steps: int = 1
    label_smoothing: float = 0.0
    halves: bool = False
    jit: bool = False


class ReplicaStep:
    """Trains and measures a model on one replica's rows.

    Build it inside the strategy's scope: the optimizer's slots are created here, before
    anything is traced.

    Args:
        strategy: whose replicas share the batch.
        model: built.
        optimizer: of `trainer.steps.optimization`, without clipping of its own.
        recipe: how a step is computed.
        freeze: keeps a weight as it is for the first steps; None lets all move.
        lanes: read on, with inputs `(tokens, resets)`; None for windows.
        average: takes in the weights after every update; None for no average.

    Attributes:
        generators: of the seeds of dropout, in a part's order.
        lanes: as given.
        part: inputs, targets, state of lanes and seeds -> loss, gradients and state of some rows;
            of each half, with `halves`.
        measured_part: what `evaluate` does, of some rows; likewise.
    """

    def __init__(
        self,
        strategy: tf.distribute.Strategy,
        model: LanguageModel,
        optimizer: Optimizer,
        recipe: StepRecipe,
        *,
        freeze: Freeze | None = None,
        lanes: LaneState | None = None,
        average: WeightAverage | None = None,
    ) -> None:
        self.strategy = strategy
        self.model = model
        self.optimizer = optimizer
        self.recipe = recipe
        self._freeze = freeze
        self.lanes = lanes
        self._average = average
        self._tokens_per_batch = recipe.batch_size * recipe.tokens_per_row
        optimizer.build(model.trainable_variables)
        self.generators = seed_generators(model)
        self.part: Any = self._loss_and_gradients
        self.measured_part: Any = self._nats_and_tokens
        if recipe.jit and recipe.halves:
            self.part, self.measured_part = (
                tf.function(function, jit_compile=True, autograph=False)
                for function in (self._loss_and_gradients, self._nats_and_tokens)
            )

    @tf.autograph.experimental.do_not_convert
    def train(self, inputs: Any, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Updates the weights with one replica's rows; runs in a replica's context.

        Args:
            inputs: `[rows, seq_len]` int32; with lanes, with their resets, bool.
            targets: `[rows, seq_len]` or `[rows]` int32.

        Returns:
            This replica's share of the mean loss, in nats a token, and the global norm of the
            summed gradients before clipping, the same on every replica; float32 scalars. The
            loss is there once the weights are updated, not before.
        """
        state = () if self.lanes is None else self.lanes.recall()
        if self.recipe.halves:
            loss, gradients, state = self._side_by_side(inputs, targets, state)
        elif self.recipe.accumulate_steps > 1:
            loss, gradients = self._accumulated(inputs, targets)
        else:
            loss, gradients, state = self._loss_and_gradients(inputs, targets, state)
        if self.lanes is not None:
            self.lanes.remember(state)
        if self.strategy.num_replicas_in_sync > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        norm = self._update(gradients)
        updated = [tf.convert_to_tensor(weight.value) for weight in self.model.trainable_variables]
        with tf.control_dependencies(updated):
            return tf.identity(loss), norm

    def _accumulated(
        self, inputs: tf.Tensor, targets: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Loss and gradients of one replica's rows, part by part."""
        # [parts, rows of a part, ...]
        parts = [
            tf.reshape(rows, [self.recipe.accumulate_steps, -1, *rows.shape[1:]])
            for rows in (inputs, targets)
        ]

        def add_part(index: tf.Tensor, loss: tf.Tensor, *gradients: tf.Tensor) -> Any:
            part_loss, part_gradients, _ = self._loss_and_gradients(
                parts[0][index], parts[1][index], ()
            )
            added = [total + part for total, part in zip(gradients, part_gradients, strict=True)]
            return index + 1, loss + part_loss, *added

        zeros = [tf.zeros_like(weight.value) for weight in self.model.trainable_variables]
        _, loss, *gradients = tf.while_loop(
            lambda index, *_: index < self.recipe.accumulate_steps,
            add_part,
            (tf.constant(0), tf.zeros([]), *zeros),
        )
        return loss, gradients

    def _side_by_side(
        self, inputs: Any, targets: tf.Tensor, state: Any
    ) -> tuple[tf.Tensor, list[tf.Tensor], Any]:
        """Loss, gradients and state of one replica's rows, from two parts of them.

        They do not wait for each other. In a part, a place waits only for the part's place before
        it. In a whole batch, every place would wait until both cores are done with the one before.
        """
        (loss, gradients, state), (other_loss, others, other_state) = [
            self.part(*half, self._draw_seeds()) for half in _halves((inputs, targets, state))
        ]
        added = [one + other for one, other in zip(gradients, others, strict=True)]
        return loss + other_loss, added, _together(state, other_state)

    def _draw_seeds(self) -> list[tf.Tensor]:
        """Seeds of a part's dropout, drawn outside: else the parts would wait for each other."""
        return [generator.next() for generator in self.generators]

    def _loss_and_gradients(
        self,
        inputs: Any,
        targets: tf.Tensor,
        state: Any,
        seeds: list[tf.Tensor] | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor], Any]:
        """These rows' share of the mean loss, its gradients, dense and scaled, and their state."""
        with contextlib.ExitStack() as given, tf.GradientTape() as tape:
            if seeds is not None:
                for generator, seed in zip(self.generators, seeds, strict=True):
                    given.enter_context(generator.giving(seed))
            head, state = self._head(inputs, state, training=True)
            nats = summed_nats(targets, head, self.recipe.label_smoothing)
            loss = nats / self._tokens_per_batch
            scale = self.optimizer.loss_scale
            trained_loss = loss + self._penalty(targets)
            scaled_loss = trained_loss if scale is None else trained_loss * scale.value
        weights = [variable.value for variable in self.model.trainable_variables]
        # The embedding's sparse gradient has one slice a token and repeats ids: its norm is
        # not the gradient's. The dense one is exact and, for a vocabulary, small.
        gradients = [tf.convert_to_tensor(one) for one in tape.gradient(scaled_loss, weights)]
        return loss, gradients, state

    def _penalty(self, targets: tf.Tensor) -> tf.Tensor | float:
        """These rows' share of the losses that the model's layers added when they read them.

        They are trained on, as by `fit`, but are no part of the loss that is told: that is in
        nats a token. Parts and replicas count by their rows, so that together they are the mean.
        """
        if not self.model.losses:
            return 0.0
        penalties = [tf.reduce_sum(tf.cast(one, tf.float32)) for one in self.model.losses]
        return (
            tf.add_n(penalties) * tf.cast(tf.shape(targets)[0], tf.float32) / self.recipe.batch_size
        )

    def _head(self, inputs: Any, state: Any, *, training: bool) -> tuple[Head, Any]:
        """Logits of these rows, not computed yet, and their lanes' state after them.

        No gradient goes back beyond these tokens: back-propagation is truncated to them.
        """
        if self.lanes is None:
            return self.model.head(inputs, training=training), state
        tokens, resets = inputs
        return self.model.read(tokens, resets, state, training=training)

    def _update(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Changes the weights by summed gradients; returns the norm of these."""
        variables = self.model.trainable_variables
        step = tf.identity(self.optimizer.iterations.value)  # before it counts on
        scale = self.optimizer.loss_scale
        if scale is not None:
            gradients = scale.unscaled(gradients)
        counted = self._freeze.counted(gradients, variables, step) if self._freeze else gradients
        norm = tf.linalg.global_norm(counted)
        finite = tf.math.is_finite(tf.linalg.global_norm(gradients) if self._freeze else norm)
        if self.recipe.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.recipe.clip_norm, use_norm=norm)
        with self._freeze.holding(step) if self._freeze else contextlib.nullcontext():
            if scale is None:
                self.optimizer.apply(gradients, variables)
            else:
                scale.apply_if(finite, self.optimizer, gradients, variables)
        if self._average is not None:
            self._average.update(step)
        return norm

    @tf.autograph.experimental.do_not_convert
    def evaluate(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Measures one replica's rows; runs in a replica's context.

        Args:
            inputs: as of `train`; `targets` too. Lanes may have fewer than `seq_len` tokens.
            targets: see there.
            weights: of the targets' shape, float32: 1 for one that counts and 0 for another.

        Returns:
            The sum of nats and the number of the targets that count, float32.
        """
        state = () if self.lanes is None else self.lanes.recall()
        rows = inputs, targets, weights, state
        parts = _halves(rows) if self.recipe.halves else [rows]
        measured = [self.measured_part(*part) for part in parts]
        nats, num_tokens, states = zip(*measured, strict=True)
        if self.lanes is not None:
            self.lanes.remember(_together(*states))
        return tf.add_n(nats), tf.add_n(num_tokens)

    def _nats_and_tokens(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, state: Any
    ) -> tuple[tf.Tensor, tf.Tensor, Any]:
        """What `evaluate` returns, of these rows, and their lanes' state after them."""
        head, state = self._head(inputs, state, training=False)
        nats = token_nats(targets, head)
        return tf.reduce_sum(nats * weights), tf.reduce_sum(weights), state


def _together(*parts: Any) -> Any:
    """Puts the rows of parts together, in order: what `_halves` has cut."""
    return tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *parts)


def _halves(rows: Any) -> list[Any]:
    """Cuts every tensor `[rows, …]` of a structure in two."""
    pairs = [tf.split(one, 2) for one in tf.nest.flatten(rows)]
    return [tf.nest.pack_sequence_as(rows, half) for half in zip(*pairs, strict=True)]
