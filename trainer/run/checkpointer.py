"""Checkpointer of a run: saves its state, keeps the best one apart, and restores the newest.

The text order needs no state of its own: it is a function of the step. What is the best is read
from `BEST_DIRECTORY` itself and not from the newest checkpoint: a run that is killed between the
two has lost neither.
"""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import UserError, first_line
from pipeline.files import join
from trainer.run.checkpoint import (
    BEST_DIRECTORY,
    DIRECTORY,
    newest_checkpoint,
    read_identity,
    restore,
    validation_of,
    variables_of,
)
from trainer.run.identity import RunIdentity
from trainer.run.owner import Owner
from trainer.run.stored import Found, forget_copies, prefix, read_values
from trainer.run.storing import forget_failed, remove_older, remove_others, set_aside, store
from trainer.steps.averaging import WeightAverage
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

    Attributes:
        sums: what the restored checkpoint has measured since its last report.
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
        self._owner = Owner(self._target)
        self._identity = identity
        self._keep = keep
        self._newest: Found | None = None
        self._best_found: Found | None = None
        self._best: tuple[int, float, str] | None = None
        self.sums: dict[str, float] = {}

    def go_on_from(self, newest: Found | None, best: Found | None) -> None:
        """Takes what was found in the run, and refuses what is of another one. Needs no model.

        Args:
            newest: to be restored; None begins anew.
            best: what losses are compared with; None without any.

        Raises:
            UserError: one of them is of another run.
        """
        self._newest, self._best_found = newest, best
        for found in (newest, best):
            if found is not None:
                self._identity.check(read_identity(found.path), self._run)
        if best is not None:  # now: the hosts must not read it while one writes
            self._best = validation_of(best.path)

    def found(self) -> dict[str, Any]:
        """Returns what was found in the run, for several hosts to compare: texts and numbers.

        What is the best decides what all of them do after an evaluation.
        """
        newest = self._newest
        return {
            "newest checkpoint in --output": newest and (newest.step, newest.digest()),
            "best checkpoint in --output": self._best,
        }

    def own(self) -> None:
        """Makes this process the one that writes: see `Owner`.

        Raises:
            UserError: the run cannot be written.
        """
        self._owner.take()

    def newest(self) -> str | None:
        """Returns the path prefix of the newest checkpoint, or None."""
        return newest_checkpoint(self._run)

    def track(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        lanes: LaneState | None = None,
        average: WeightAverage | None = None,
    ) -> None:
        """Names what later calls save and restore. Model and optimizer must be built.

        Outside of the strategy's scope: hosts cannot exchange strings.
        """
        self._lanes = lanes
        with tf.device("CPU"):
            self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self._validation_loss = tf.Variable(0.0, dtype=tf.float64, trainable=False)
            self._validation_split = tf.Variable("")
            strings = {
                "corpus": tf.Variable(self._identity.corpus),
                "vocabulary": tf.Variable(self._identity.vocabulary),
                "settings": tf.Variable(json.dumps(self._identity.settings)),
            }
            self._sums = tf.Variable("{}")
        state = {
            "variables": variables_of(model),
            "optimizer": optimizer,
            "step": self._step,
            "average": [] if average is None else average.variables,
            "lanes": [] if lanes is None else lanes.saved,
            **strings,
        }
        self._restored = tf.train.Checkpoint(**state)
        self._saved = tf.train.Checkpoint(**state, sums=self._sums)
        self._saved_best = tf.train.Checkpoint(
            **state,
            validation_loss=self._validation_loss,
            validation_split=self._validation_split,
        )

    def restore(self) -> int:
        """Restores the newest checkpoint that was found, if there is one.

        Returns:
            The number of steps that are done in it; 0 without a checkpoint.

        Raises:
            UserError: the checkpoint is of another model.
        """
        if self._newest is None:
            return 0
        path = self._newest.path
        restore(self._restored, path)
        (sums,) = read_values(path, "sums")  # which older versions did not save
        self.sums = {} if sums is None else json.loads(sums)
        if self._lanes is not None:
            self._lanes.spread()
        forget_copies()
        return int(self._step.numpy())

    def set_damaged_aside(self) -> list[str]:
        """Moves newer checkpoints that are not whole out of the way, where this process writes.

        Returns:
            What is lost, a line each.

        Raises:
            UserError: they cannot be moved.
        """
        lines = []
        for found in (self._newest, self._best_found):
            if found is not None and found.lost:
                lines += found.warnings()
                if self._target == self._run:
                    try:
                        folder = set_aside(found.directory, list(found.lost))
                    except (OSError, UserError) as error:
                        raise UserError(
                            f"{found.directory}: the damaged checkpoints in it cannot be moved "
                            f"({first_line(error)}); move them elsewhere"
                        ) from error
                    lines.append(f"what is left of it is now in {folder}")
        return lines

    def best_step(self, split: str) -> int | None:
        """Returns the step of the best checkpoint; None where there is none on this split."""
        return None if self._best is None or self._best[2] != split else self._best[0]

    def save(self, step: int, sums: Mapping[str, float] | None = None) -> str:
        """Saves everything as of `step`, whole or not at all; removes what is too old.

        Args:
            step: steps done.
            sums: what was measured since the last report.

        Returns:
            The path prefix of the checkpoint's files.

        Raises:
            UserError: it cannot be written; the older ones stay whole.
        """
        self._sums.assign(json.dumps(dict(sums or {})))
        directory = join(self._target, DIRECTORY)
        self._write(self._saved, directory, step)
        self._clean(directory, step)
        return prefix(directory, step)

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
        best = math.inf if self._best is None or self._best[2] != split else self._best[1]
        if not loss < best:
            return False
        self._validation_loss.assign(loss)
        self._validation_split.assign(split)
        directory = join(self._target, BEST_DIRECTORY)
        self._write(self._saved_best, directory, step)
        self._clean(directory, step)
        self._best = (step, loss, split)
        return True

    def _write(self, checkpoint: tf.train.Checkpoint, directory: str, step: int) -> None:
        self._owner.check()
        self._step.assign(step)
        if self._lanes is not None:
            self._lanes.collect()
        try:
            store(checkpoint, directory, step)
        except (*_FILE_ERRORS, UserError) as error:
            forget_failed(directory)
            raise UserError(
                f"{directory}: the checkpoint of step {step} cannot be written "
                f"({first_line(error)}); those that are there stay whole. Make room, and the "
                "same command goes on from the newest one"
            ) from error

    def _clean(self, directory: str, step: int) -> None:
        """Removes the checkpoints that the one of `step`, which is there, has made needless."""
        try:
            if directory == join(self._target, BEST_DIRECTORY):
                remove_others(directory, step)
            else:
                remove_older(directory, step, keep=self._keep)
        except (*_FILE_ERRORS, UserError) as error:
            raise UserError(
                f"{directory}: older checkpoints than that of step {step} cannot be removed "
                f"({first_line(error)}); remove them, and the same command goes on"
            ) from error
