"""Freezing of pretrained embeddings: they stay as they are for the first steps of a run."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


class Freeze:
    """Keeps one weight as it is for the first steps.

    The optimizer goes on as ever, and what it does to the weight is undone, bit for bit, in
    each of these steps. So its moments are those of the weight's gradients when the weight is
    let go, and its first free steps have the usual size. Gradients of 0 instead would leave
    Adam's moments at 0. Adam corrects moments that begin at 0, but only in a run's first steps,
    which are over by then: the first free steps would be up to 6 times too large. Weight decay
    is undone as well.

    Args:
        weight: the variable.
        steps: how many steps, at least 1; -1 for all.
    """

    def __init__(self, weight: keras.Variable, steps: int) -> None:
        self._weight = weight
        self._steps = steps

    def counted(
        self, gradients: list[tf.Tensor], variables: list[keras.Variable], step: tf.Tensor
    ) -> list[tf.Tensor]:
        """Returns the gradients that clipping counts: that of the frozen weight is 0.

        Args:
            gradients: of `variables`, dense, in their order.
            variables: the weight among others.
            step: updates before this one, an integer scalar.
        """
        return [
            tf.where(self._acts(step), tf.zeros_like(gradient), gradient)
            if variable is self._weight
            else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    @contextlib.contextmanager
    def holding(self, step: tf.Tensor) -> Iterator[None]:
        """Undoes what happens to the weight inside; runs in a replica's context.

        Args:
            step: updates before this one, an integer scalar.
        """
        acts, before = self._acts(step), tf.identity(self._weight.value)
        yield
        # As Keras's optimizers assign: in the replica's context the copies would be averaged.
        context = tf.distribute.get_replica_context()
        context.merge_call(self._put_back, args=(acts, before))

    def _put_back(self, strategy: tf.distribute.Strategy, acts: Any, before: Any) -> None:
        def assign(copy: tf.Variable, acts: tf.Tensor, before: tf.Tensor) -> None:
            copy.assign(tf.where(acts, before, copy))

        strategy.extended.update(self._weight.value, assign, args=(acts, before), group=False)

    def _acts(self, step: tf.Tensor) -> tf.Tensor:
        return tf.constant(True) if self._steps < 0 else tf.convert_to_tensor(step) < self._steps
