"""Scale of the loss in float16, so that small gradients do not become 0."""

from typing import Any

import keras
import tensorflow as tf

_INITIAL_SCALE = 2.0**15
_GROWTH_STEPS = 2000


class LossScale(tf.Module):
    """A scale that follows the gradients: down where they overflow, up where they long did not.

    Small gradients become 0 in float16. So the loss is multiplied by a large number before the
    gradients are taken, and they are divided by it in float32 (Micikevicius et al. 2018,
    https://arxiv.org/abs/1710.03740).

    A step whose gradients are not finite changes no weight and no state of the optimizer, and
    halves the scale; after a number of others in a row it doubles. Keras's
    `LossScaleOptimizer` does the same, but leaves no place between the division and the
    update, where clipping belongs.

    Make it inside the strategy's scope. Its variables belong in a checkpoint.

    Args:
        initial: scale of the first step.
        growth_steps: finite steps in a row after which the scale doubles.
    """

    def __init__(
        self, *, initial: float = _INITIAL_SCALE, growth_steps: int = _GROWTH_STEPS
    ) -> None:
        super().__init__(name="loss_scale")
        # Every replica computes the same new value: the gradients are summed before.
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.value = tf.Variable(initial, trainable=False, aggregation=aggregation)
        self._finite_steps = tf.Variable(0, trainable=False, aggregation=aggregation)
        self._growth_steps = growth_steps

    def unscaled(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns float32 gradients of the scaled loss as those of the loss itself."""
        return [gradient / self.value for gradient in gradients]

    def apply_if(
        self,
        finite: tf.Tensor,
        optimizer: keras.optimizers.Optimizer,
        gradients: list[tf.Tensor],
        variables: list[keras.Variable],
    ) -> None:
        """Updates the variables where `finite`, and the scale; runs in a replica's context.

        Args:
            finite: whether all gradients are, a bool scalar, the same on every replica.
            optimizer: built for the variables.
            gradients: summed over the replicas, unscaled.
            variables: what they are gradients of.
        """

        def update(strategy: tf.distribute.Strategy, finite: Any, gradients: Any) -> None:
            apply = optimizer.apply
            tf.cond(
                strategy.experimental_local_results(finite)[0],
                lambda: strategy.extended.call_for_each_replica(apply, args=(gradients, variables)),
                lambda: None,
            )

        # The branches of a condition in a replica's context cannot exchange anything, as the
        # optimizer's updates do: so the condition stands in the context of all replicas.
        context = tf.distribute.get_replica_context()
        context.merge_call(update, args=(finite, gradients))
        finite_steps = tf.where(finite, self._finite_steps + 1, 0)
        grows = finite_steps >= self._growth_steps
        factor = tf.where(finite, tf.where(grows, 2.0, 1.0), 0.5)
        self.value.assign(self.value * factor)
        self._finite_steps.assign(tf.where(grows, 0, finite_steps))
