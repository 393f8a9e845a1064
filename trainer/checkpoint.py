"""Checkpoints of a run: what resuming bit for bit needs, and proof that it is the same run.

A checkpoint holds the model, the optimizer, the dropout layers' seed streams, the step,
and, as strings, the fingerprints of corpus and vocabulary and the configuration's
identity. The text order needs no state of its own: it is a function of the step.
"""

import dataclasses
import json
import os
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import UserError
from pipeline.files import join
from trainer.config import describe_differences

DIRECTORY = "checkpoints"  # in the run's directory
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how TensorFlow names a variable's entry


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """What must be equal for one start of a run to continue another.

    Attributes:
        corpus: fingerprint of the corpus, hex.
        vocabulary: fingerprint of the vocabulary, hex.
        settings: `TrainConfig.identity()`.
    """

    corpus: str
    vocabulary: str
    settings: dict[str, Any]

    def check(self, saved: "RunIdentity", run: str) -> None:
        """Refuses to continue a run that is not this one.

        Args:
            saved: the identity in the run's checkpoint.
            run: the run's directory, for the message.

        Raises:
            UserError: they differ; the message names both sides of every difference.
        """
        remedy = "train into another --output, or remove this one to start anew"
        for name in ("vocabulary", "corpus"):
            old, new = getattr(saved, name), getattr(self, name)
            if old != new:
                raise UserError(
                    f"{run}: this {name} is not the one the run was trained on: the run's "
                    f"{name} has the fingerprint {old[:16]}, the one given {new[:16]}; "
                    f"give the run's own --corpus, or {remedy}"
                )
        differences = describe_differences(saved.settings, self.settings)
        if differences:
            raise UserError(
                f"{run} was trained with other settings: {'; '.join(differences)}. "
                f"Give the run's settings to resume it, or {remedy}"
            )


class Checkpointer:
    """Saves a run's state and restores its newest one.

    Args:
        run: the run's directory, or its URI; checkpoints go to `DIRECTORY` in it.
        identity: what this run is.
        keep: newest checkpoints to keep.
    """

    def __init__(self, run: str | os.PathLike[str], *, identity: RunIdentity, keep: int) -> None:
        self._run = os.fspath(run)
        self._identity = identity
        self._keep = keep

    def check(self) -> None:
        """Refuses a directory whose checkpoint is of another run. Needs no model.

        Raises:
            UserError: the newest checkpoint is of another run, or damaged.
        """
        path = self.newest()
        if path is not None:
            self._identity.check(_read_identity(path), self._run)

    def newest(self) -> str | None:
        """Returns the path prefix of the newest checkpoint, or None."""
        return newest_checkpoint(self._run)

    def track(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """Names what later calls save and restore. Both must be built."""
        with tf.device("CPU"):
            self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
            strings = {
                "corpus": tf.Variable(self._identity.corpus),
                "vocabulary": tf.Variable(self._identity.vocabulary),
                "settings": tf.Variable(json.dumps(self._identity.settings)),
            }
        checkpoint = tf.train.Checkpoint(
            variables=_variables(model),
            optimizer=optimizer,
            step=self._step,
            **strings,
        )
        self._checkpoint = checkpoint
        self._manager = tf.train.CheckpointManager(
            checkpoint, join(self._run, DIRECTORY), max_to_keep=self._keep
        )

    def restore(self) -> int:
        """Restores the newest checkpoint, if there is one.

        Returns:
            The number of steps it has behind it; 0 without a checkpoint.

        Raises:
            UserError: the checkpoint is damaged.
        """
        path = self._manager.latest_checkpoint
        if path is None:
            return 0
        _restore(self._checkpoint, path)
        return int(self._step.numpy())

    def save(self, step: int) -> str:
        """Saves everything as of `step`, whole or not at all; removes what is too old.

        Returns:
            The path prefix of the checkpoint's files.
        """
        self._step.assign(step)
        return str(self._manager.save(checkpoint_number=step))


def newest_checkpoint(run: str | os.PathLike[str]) -> str | None:
    """Returns the path prefix of a run's newest complete checkpoint, or None."""
    path = tf.train.latest_checkpoint(join(run, DIRECTORY))
    return None if path is None else str(path)


def restore_weights(run: str | os.PathLike[str], model: keras.Model) -> None:
    """Restores the newest checkpoint's weights alone, to use the model.

    Args:
        run: the run's directory.
        model: a built model of the run's architecture.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    path = newest_checkpoint(run)
    if path is None:
        raise UserError(
            f"{run} has no checkpoint yet; `textreel train` writes one every --save_every steps"
        )
    _restore(tf.train.Checkpoint(variables=_variables(model)), path)


def _variables(model: keras.Model) -> list[tf.Variable]:
    """All of a model's variables, in the order of creation, seed generators' included.

    `tf.train.Checkpoint(model=model)` would leave out seed generators and the layers in
    a model's lists. Names will not do as keys: Keras numbers them through a process.
    """
    return [variable.value for variable in model.variables]


def _restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    try:
        status = checkpoint.restore(path)
        status.assert_existing_objects_matched()
        status.expect_partial()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise _damaged(path, error) from error


def _read_identity(path: str) -> RunIdentity:
    try:
        reader = tf.train.load_checkpoint(path)
        corpus, vocabulary, settings = (
            reader.get_tensor(name + _VALUE).decode()
            for name in ("corpus", "vocabulary", "settings")
        )
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error
    return RunIdentity(corpus=corpus, vocabulary=vocabulary, settings=json.loads(settings))


def _damaged(path: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return UserError(
        f"{path}: the checkpoint cannot be restored ({reason}); remove it and name an older one "
        f"in {path.rpartition('/')[0]}/checkpoint, or train into another directory"
    )
