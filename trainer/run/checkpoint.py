"""Checkpoints of a run on disk: which there are, what is in them, and weights from them.

A checkpoint holds the model, the optimizer, the dropout layers' seed streams, the step and, as
strings, the fingerprints of corpus and vocabulary and the configuration's identity.

RUN/checkpoints/   the newest ones, to resume from
RUN/best/          the one of the lowest validation loss so far, and that loss
"""

import json
import os
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import join
from trainer.run.identity import RunIdentity

DIRECTORY = "checkpoints"  # in the run's directory
BEST_DIRECTORY = "best"  # likewise
WHICH = ("newest", "best")  # the checkpoints of a run that can be asked for
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how TensorFlow names a variable's entry


def newest_checkpoint(run: str | os.PathLike[str]) -> str | None:
    """Returns the path prefix of a run's newest complete checkpoint, or None."""
    path = tf.train.latest_checkpoint(join(run, DIRECTORY))
    return None if path is None else str(path)


def newest_step(run: str | os.PathLike[str]) -> int:
    """Returns the steps that are done in a run's newest checkpoint; 0 without one."""
    path = newest_checkpoint(run)
    return 0 if path is None else int(path.rpartition("-")[2])


def saved_settings(run: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Returns the settings in a run's newest checkpoint; None without one.

    Raises:
        UserError: the checkpoint is damaged.
    """
    path = newest_checkpoint(run)
    return None if path is None else read_identity(path).settings


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
    """Returns the step of a run's best checkpoint; None where there is none.

    Args:
        run: the run's directory.
        split: a checkpoint that is the best on another split does not count.
    """
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
        raise OptionError(f"`checkpoint` must be one of {', '.join(WHICH)}, got {which!r}")
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
    restore(tf.train.Checkpoint(variables=variables_of(model)), path)


def variables_of(model: keras.Model) -> list[tf.Variable]:
    """All of a model's variables, in the order of creation, seed generators' included.

    `tf.train.Checkpoint(model=model)` would leave out seed generators and the layers in
    a model's lists. Names will not do as keys: Keras numbers them through a process.
    """
    return [variable.value for variable in model.variables]


def restore(checkpoint: tf.train.Checkpoint, path: str) -> None:
    """Restores what a `tf.train.Checkpoint` names, all of which must be in the file.

    Args:
        checkpoint: the objects.
        path: path prefix of the checkpoint's files.

    Raises:
        UserError: the file is damaged, or is of other objects.
    """
    try:
        status = checkpoint.restore(path)
        status.assert_existing_objects_matched()
        status.expect_partial()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise _damaged(path, error) from error


def read_identity(path: str) -> RunIdentity:
    """Returns the identity of the run that a checkpoint is of.

    Raises:
        UserError: the checkpoint is damaged.
    """
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
