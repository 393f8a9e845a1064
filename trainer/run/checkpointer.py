"""Checkpointer of a run: saves its state, keeps the best one apart, and restores the newest.

The text order needs no state of its own: it is a function of the step. What is the best is read
from `BEST_DIRECTORY` itself and not from the newest checkpoint: a run that is killed between the
two has lost neither.
"""

import contextlib
import json
import math
import os

import keras
import tensorflow as tf

from pipeline.errors import UserError, first_line
from pipeline.files import join
from trainer.run.checkpoint import (
    BEST_DIRECTORY,
    DIRECTORY,
    best_checkpoint,
    best_loss,
    newest_checkpoint,
    read_identity,
    restore,
    variables_of,
)
from trainer.run.identity import RunIdentity
from trainer.steps.lanes import LaneState

# What writing files fails with: no room, a file too large, no permission, no directory, I/O.
_FILE_ERRORS = (
    tf.errors.ResourceExhaustedError,
    tf.errors.PermissionDeniedError,
    tf.errors.FailedPreconditionError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.UnknownError,
    OSError,
)


class Checkpointer:
    """Saves a run's state, keeps its best one apart, and restores its newest one.

    Args:
        run: the run's directory, or its URI; checkpoints go to `DIRECTORY` and
            `BEST_DIRECTORY` in it.
        identity: what this run is.
        keep: newest checkpoints to keep.
        target: the directory to write into; None for `run`, from which it restores in any case.
            Of several hosts, the first writes into `run` and the others elsewhere: all must
            save, because saving may exchange values, but one copy is enough.
    """

    def __init__(
        self,
        run: str | os.PathLike[str],
        *,
        identity: RunIdentity,
        keep: int,
        target: str | None = None,
    ) -> None:
        self._run = os.fspath(run)
        self._target = self._run if target is None else target
        self._identity = identity
        self._keep = keep

    def check(self) -> None:
        """Refuses a directory whose checkpoint is of another run. Needs no model.

        Raises:
            UserError: the newest or best checkpoint is of another run, or damaged.
        """
        for path in (newest_checkpoint(self._run), best_checkpoint(self._run)):
            if path is not None:
                self._identity.check(read_identity(path), self._run)

    def newest(self) -> str | None:
        """Returns the path prefix of the newest checkpoint, or None."""
        return newest_checkpoint(self._run)

    def track(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        lanes: LaneState | None = None,
    ) -> None:
        """Names what later calls save and restore. Model and optimizer must be built.

        Outside of the strategy's scope: hosts cannot exchange strings.
        """
        self._lanes = lanes
        self._best = best_loss(self._run)  # now: the hosts must not read it while one writes
        with tf.device("CPU"):
            self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self._validation_loss = tf.Variable(0.0, dtype=tf.float64, trainable=False)
            self._validation_split = tf.Variable("")
            strings = {
                "corpus": tf.Variable(self._identity.corpus),
                "vocabulary": tf.Variable(self._identity.vocabulary),
                "settings": tf.Variable(json.dumps(self._identity.settings)),
            }
        state = {
            "variables": variables_of(model),
            "optimizer": optimizer,
            "step": self._step,
            "lanes": [] if lanes is None else lanes.saved,
            **strings,
        }
        self._checkpoint = tf.train.Checkpoint(**state)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, join(self._target, DIRECTORY), max_to_keep=self._keep
        )
        self._best_manager = tf.train.CheckpointManager(
            tf.train.Checkpoint(
                **state,
                validation_loss=self._validation_loss,
                validation_split=self._validation_split,
            ),
            join(self._target, BEST_DIRECTORY),
            max_to_keep=1,
        )

    def restore(self) -> int:
        """Restores the newest checkpoint, if there is one.

        Returns:
            The number of steps that are done in it; 0 without a checkpoint.

        Raises:
            UserError: the checkpoint is damaged.
        """
        path = self.newest()
        if path is None:
            return 0
        restore(self._checkpoint, path)
        if self._lanes is not None:
            self._lanes.spread()
        return int(self._step.numpy())

    def save(self, step: int) -> str:
        """Saves everything as of `step`, whole or not at all; removes what is too old.

        Returns:
            The path prefix of the checkpoint's files.

        Raises:
            UserError: it cannot be written; the older ones stay whole.
        """
        return self._write(self._manager, step)

    def save_best(self, step: int, loss: float, split: str) -> bool:
        """Saves everything to `BEST_DIRECTORY` where no loss on this split was lower so far.

        Args:
            step: steps done.
            loss: the validation loss at this step.
            split: what it was measured on; losses of other splits are not compared.

        Returns:
            Whether it was saved: a loss that is not finite, or equal to the best, is not.

        Raises:
            UserError: it cannot be written; the best one so far stays whole.
        """
        if not loss < self._best.get(split, math.inf):
            return False
        self._validation_loss.assign(loss)
        self._validation_split.assign(split)
        self._write(self._best_manager, step)
        self._best = {split: loss}
        return True

    def _write(self, manager: tf.train.CheckpointManager, step: int) -> str:
        self._step.assign(step)
        if self._lanes is not None:
            self._lanes.collect()
        try:
            return str(manager.save(checkpoint_number=step))
        except _FILE_ERRORS as error:
            _remove_parts(f"{manager.directory}/ckpt-{step}")
            raise UserError(
                f"{manager.directory}: the checkpoint of step {step} cannot be written "
                f"({first_line(error)}); those that are there stay whole. Make room, and the "
                "same command goes on from the newest one"
            ) from error


def _remove_parts(path: str) -> None:
    """Removes what a failed save has left of its files."""
    for part in tf.io.gfile.glob(f"{path}_temp") + tf.io.gfile.glob(f"{path}.*"):
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.rmtree(part) if tf.io.gfile.isdir(part) else tf.io.gfile.remove(part)
