"""Average of the weights over the steps: what a run with `--ema` is measured, sampled and used by.

After update `n`, counted from 0, with `d = min(decay, n / (n + 10))`:

    average = d * average + (1 - d) * weights

(Polyak and Juditsky 1992, https://doi.org/10.1137/0330046; exponential, with a decay that rises to
its own value: the first weights, which are random, would stay in the average for `1 / (1 - decay)`
steps.) The optimizer knows nothing of it.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


class WeightAverage:
    """The average of a model's trainable weights.

    Build it inside the strategy's scope.

    Args:
        strategy: whose replicas hold the weights.
        model: built.
        decay: share of the average that a step keeps, above 0 and below 1.

    Attributes:
        variables: the average of each of `model.trainable_variables`, in their order.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, model: keras.Model, *, decay: float
    ) -> None:
        self._strategy = strategy
        self._decay = decay
        self._weights = [weight.value for weight in model.trainable_variables]
        self.variables = [
            tf.Variable(tf.convert_to_tensor(weight), trainable=False) for weight in self._weights
        ]
        self._exchange = tf.function(self._exchange_all)

    def update(self, num_updates: tf.Tensor) -> None:
        """Takes the weights into the average; runs in a replica's context.

        Args:
            num_updates: updates of the weights before the last one, an integer scalar.
        """
        number = tf.cast(num_updates, tf.float32)
        decay = tf.minimum(number / (number + 10), self._decay)
        # As Keras's optimizers assign: in the replica's context the copies would be averaged.
        context = tf.distribute.get_replica_context()
        context.merge_call(self._update_all, args=(decay,))

    def _update_all(self, strategy: tf.distribute.Strategy, decay: Any) -> None:
        def assign(average: tf.Variable, weight: tf.Variable, decay: tf.Tensor) -> None:
            average.assign(weight + decay * (average - weight))

        for average, weight in zip(self.variables, self._weights, strict=True):
            strategy.extended.update(average, assign, args=(weight, decay), group=False)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Lets the model compute with the average inside; its weights come back, bit for bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange_all(self) -> None:
        def exchange(weight: tf.Variable, average: tf.Variable) -> None:
            before = weight.read_value()
            with tf.control_dependencies([before]):
                weight.assign(average.read_value())
            average.assign(before)

        for weight, average in zip(self._weights, self.variables, strict=True):
            self._strategy.extended.update(weight, exchange, args=(average,), group=False)
