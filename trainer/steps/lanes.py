"""State of the lanes: what each remembers from step to step, on its replica and in checkpoints."""

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from trainer.models import LanguageModel


class LaneState:
    """The state of the model after each lane's last token.

    A replica keeps the state of its own rows, in variables that no other replica sees. For
    a checkpoint, which another number of hosts and replicas may continue, the rows of all are
    put together in the order of the global batch. All are of float32, which holds exactly what
    any precision computes: hosts exchange no bfloat16.

    Build it inside the strategy's scope.

    Args:
        strategy: where the steps run.
        model: a built model that reads on (see `LanguageModel.read`).
        batch_size: rows of the global batch, a multiple of the replicas.

    Attributes:
        saved: variables `[batch_size, …]`, a part of the state each: what a checkpoint holds.
            They are those of the replicas after `collect` or before `spread`.
    """

    def __init__(
        self, strategy: tf.distribute.Strategy, model: LanguageModel, batch_size: int
    ) -> None:
        self._strategy = strategy
        self._model = model
        self._rows = batch_size // strategy.num_replicas_in_sync
        state = model.initial_state(self._rows)
        self._dtypes = tf.nest.map_structure(lambda part: part.dtype, state)
        self._own = tf.nest.map_structure(_own_variable, state)
        self.saved = [
            tf.Variable(tf.cast(part, tf.float32), trainable=False)
            for part in tf.nest.flatten(model.initial_state(batch_size))
        ]
        # Compiled: run eagerly, the strategy of several hosts warns.
        self._parts = tf.function(self._read_parts)
        self._set_parts = tf.function(self._assign_parts)
        self._forget = tf.function(self._forget_all)

    def recall(self) -> Any:
        """Returns the state of a replica's lanes, `[rows, …]`; runs in a replica's context."""
        return tf.nest.map_structure(tf.cast, self._own, self._dtypes)

    def remember(self, state: Any) -> None:
        """Keeps the state of a replica's lanes, or its flat parts; runs in a replica's context."""
        for variable, part in zip(tf.nest.flatten(self._own), tf.nest.flatten(state), strict=True):
            variable.assign(tf.cast(part, tf.float32))

    @contextlib.contextmanager
    def beginning_anew(self) -> Iterator[None]:
        """Inside, the lanes begin anew, with another text; then they are as they were."""
        kept = self._parts()
        self._forget()
        try:
            yield
        finally:
            self._set_parts(kept)

    def collect(self) -> None:
        """Puts the rows of all replicas into `saved`; all hosts take part."""
        for variable, part in zip(self.saved, self._parts(), strict=True):
            variable.assign(self._strategy.gather(part, axis=0))

    def spread(self) -> None:
        """Gives every replica its rows of `saved`."""

        def rows_of(context: tf.distribute.ReplicaContext) -> list[tf.Tensor]:
            first = context.replica_id_in_sync_group * self._rows
            return [variable.read_value()[first : first + self._rows] for variable in self.saved]

        self._set_parts(self._strategy.experimental_distribute_values_from_function(rows_of))

    def _read_parts(self) -> list[Any]:
        return self._strategy.run(
            lambda: [variable.read_value() for variable in tf.nest.flatten(self._own)]
        )

    def _assign_parts(self, parts: list[Any]) -> None:
        self._strategy.run(self.remember, args=(parts,))

    def _forget_all(self) -> None:
        self._strategy.run(lambda: self.remember(self._model.initial_state(self._rows)))


def _own_variable(value: tf.Tensor) -> Any:
    """Returns a variable of which each replica has its own, never put together by itself."""
    return tf.Variable(
        tf.cast(value, tf.float32),
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.NONE,
    )
