"""Checkpoints of a run: what resuming bit for bit needs, and proof that it is the same run.

A checkpoint holds the model, the optimizer, the dropout layers' seed streams, the step,
and, as strings, the fingerprints of corpus and vocabulary and the configuration's
identity. The text order needs no state of its own: it is a function of the step.

RUN/checkpoints/   the newest ones, to resume from
RUN/best/          the one of the lowest validation loss so far, and that loss

What is the best is read from RUN/best itself, not from the newest checkpoint: a run killed
between the two has lost neither.
"""

import contextlib
import dataclasses
import json
import math
import os
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import join
from trainer.config import describe_differences
from trainer.steps.lanes import LaneState

DIRECTORY = "checkpoints"  # in the run's directory
BEST_DIRECTORY = "best"  # likewise
WHICH = ("newest", "best")  # the checkpoints of a run that can be asked for
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
    """Saves a run's state, keeps its best one apart, and restores its newest one.

    Args:
        run: the run's directory, or its URI; checkpoints go to `DIRECTORY` and
            `BEST_DIRECTORY` in it.
        identity: what this run is.
        keep: newest checkpoints to keep.
        target: where it writes instead, as one of several hosts does that is not the first:
            all of them must save, for saving may exchange values, but one copy is enough. It
            still restores from `run`.
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
                self._identity.check(_read_identity(path), self._run)

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
            "variables": _variables(model),
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
            The number of steps it has behind it; 0 without a checkpoint.

        Raises:
            UserError: the checkpoint is damaged.
        """
        path = self.newest()
        if path is None:
            return 0
        _restore(self._checkpoint, path)
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


def newest_checkpoint(run: str | os.PathLike[str]) -> str | None:
    """Returns the path prefix of a run's newest complete checkpoint, or None."""
    path = tf.train.latest_checkpoint(join(run, DIRECTORY))
    return None if path is None else str(path)


def saved_settings(run: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the settings in a run's newest checkpoint; None without one.

    Raises:
        UserError: the checkpoint is damaged.
    """
    path = newest_checkpoint(run)
    return None if path is None else _read_identity(path).settings


def best_checkpoint(run: str | os.PathLike[str]) -> str | None:
    """Returns the path prefix of a run's checkpoint of the lowest validation loss, or None."""
    path = tf.train.latest_checkpoint(join(run, BEST_DIRECTORY))
    return None if path is None else str(path)


def best_loss(run: str | os.PathLike[str]) -> dict[str, float]:
    """Returns the validation loss of a run's best checkpoint by the split it was measured on.

    Example: `{"validation": 1.25}`; empty without a best checkpoint.

    Raises:
        UserError: the checkpoint is damaged.
    """
    path = best_checkpoint(run)
    if path is None:
        return {}
    loss, split = _read(path, "validation_loss", "validation_split")
    return {split.decode(): float(loss)}


def best_step(run: str | os.PathLike[str], split: str) -> int | None:
    """Returns the step of a run's best checkpoint; None where there is none, as `best_loss`."""
    path = best_checkpoint(run)
    if path is None:
        return None
    step, measured = _read(path, "step", "validation_split")
    return int(step) if measured.decode() == split else None


def restore_weights(
    run: str | os.PathLike[str], model: keras.Model, *, which: str = "newest"
) -> None:
    """Restores the weights alone of the newest or of the best checkpoint, to use the model.

    Args:
        run: the run's directory.
        model: a built model of the run's architecture.
        which: `"newest"`, or `"best"`, the one of the lowest validation loss.

    Raises:
        OptionError: `which` is neither.
        UserError: there is no such checkpoint, or it is damaged.
    """
    if which not in WHICH:
        raise OptionError(f"`checkpoint` must be one of {', '.join(WHICH)}; got {which!r}")
    path = newest_checkpoint(run) if which == "newest" else best_checkpoint(run)
    if path is None and which == "best":
        raise UserError(
            f"{run} has no best checkpoint: `textreel train` keeps one where it evaluates "
            "(--eval_every); take the newest with --checkpoint newest"
        )
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
    corpus, vocabulary, settings = _read(path, "corpus", "vocabulary", "settings")
    return RunIdentity(
        corpus=corpus.decode(), vocabulary=vocabulary.decode(), settings=json.loads(settings)
    )


def _read(path: str, *names: str) -> list[Any]:
    """Returns the values of variables in a checkpoint, without a model."""
    try:
        reader = tf.train.load_checkpoint(path)
        return [reader.get_tensor(name + _VALUE) for name in names]
    except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> UserError:
    return UserError(
        f"{path}: the checkpoint cannot be restored ({first_line(error)}); remove it and name "
        f"an older one in {path.rpartition('/')[0]}/checkpoint, or train into another directory"
    )


def _remove_parts(path: str) -> None:
    """Removes what a failed save has left of its files."""
    for part in tf.io.gfile.glob(f"{path}_temp") + tf.io.gfile.glob(f"{path}.*"):
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.rmtree(part) if tf.io.gfile.isdir(part) else tf.io.gfile.remove(part)
