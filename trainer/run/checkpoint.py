"""Checkpoints of a run: the newest one and the best, what is in them, and weights from them.

A checkpoint holds the model, the average of its weights (`--ema`), the optimizer, the dropout
layers' seed streams, the step, what was measured since the last report and, as strings, the
fingerprints of corpus and vocabulary and the configuration's identity.

RUN/checkpoints/   the newest ones, to resume from
RUN/best/          the one of the lowest validation loss so far, and that loss

In either, `damaged/` has what a start could not read, and `unfinished/` what is being written.
"""

import json
import os

import keras
import tensorflow as tf

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import join
from trainer.run.identity import RunIdentity
from trainer.run.stored import (
    READ_ERRORS,
    Found,
    find,
    forget_copies,
    newest_stored,
    prefix,
    read_values,
    readable,
)

DIRECTORY = "checkpoints"  # in the run's directory
BEST_DIRECTORY = "best"  # likewise
WHICH = ("best", "newest")  # the checkpoints of a run that can be asked for


def newest_step(run: str | os.PathLike[str]) -> int:
    """Returns the steps that are done in a run's newest checkpoint, by its name; 0 without one."""
    return newest_stored(join(run, DIRECTORY)) or 0


def newest_checkpoint(run: str | os.PathLike[str]) -> str | None:
    """Returns the path prefix of a run's newest checkpoint, by its name; None without one."""
    step = newest_stored(join(run, DIRECTORY))
    return None if step is None else prefix(join(run, DIRECTORY), step)


def find_newest(run: str | os.PathLike[str]) -> Found | None:
    """Finds a run's newest whole checkpoint; None without any.

    Raises:
        UserError: there are checkpoints, but none is whole.
    """
    return find(join(run, DIRECTORY))


def find_best(run: str | os.PathLike[str]) -> Found | None:
    """Finds a run's checkpoint of the lowest validation loss; None without any.

    Raises:
        UserError: there is one, but it is not whole.
    """
    return find(join(run, BEST_DIRECTORY))


def default_checkpoint(run: str | os.PathLike[str]) -> str:
    """Returns which checkpoint is used where none is asked for: `"best"`, where the run has it.

    The best one is of a lower validation loss than the newest where a run learned its text
    by heart at last. A run that is not evaluated keeps none: then it is `"newest"`.
    """
    return "newest" if newest_stored(join(run, BEST_DIRECTORY)) is None else "best"


def find_checkpoint(run: str | os.PathLike[str], which: str | None = None) -> Found:
    """Finds the checkpoint of a run that is to be used.

    Args:
        run: the run's directory.
        which: `"best"`, the one of the lowest validation loss, or `"newest"`; None: see
            `default_checkpoint`.

    Raises:
        OptionError: `which` is neither.
        UserError: there is no such checkpoint, or none that is whole.
    """
    which = default_checkpoint(run) if which is None else which
    if which not in WHICH:
        raise OptionError(f"`checkpoint` must be one of {', '.join(WHICH)}, got {which!r}")
    found = find_newest(run) if which == "newest" else find_best(run)
    if found is None and which == "best":
        raise UserError(
            f"{run} has no best checkpoint: `textreel train` keeps one where it evaluates "
            "(--eval_every); take the newest with --checkpoint newest"
        )
    if found is None:
        raise UserError(
            f"{run} has no checkpoint yet; `textreel train` writes one every --save_every steps"
        )
    return found


def validation_of(path: str) -> tuple[int, float, str]:
    """Returns the step of a best checkpoint, its validation loss, and the split of that.

    Raises:
        UserError: the checkpoint is damaged, or is not a best one.
    """
    step, loss, split = read_values(path, "step", "validation_loss", "validation_split")
    if loss is None or split is None:
        raise UserError(f"{path} is no best checkpoint: it has no validation loss; move it away")
    return int(step), float(loss), split.decode()


def restore_weights(path: str, model: keras.Model) -> None:
    """Restores the weights alone of a checkpoint, to use the model: the average, where it has one.

    Args:
        path: path prefix of the checkpoint's files.
        model: a built model of the run's architecture.

    Raises:
        UserError: the checkpoint is damaged, or of another model.
    """
    restore(tf.train.Checkpoint(variables=variables_of(model)), path)
    average = [weight.value for weight in model.trainable_variables]
    if read_values(path, "average/0")[0] is not None:
        restore(tf.train.Checkpoint(average=average), path)
    forget_copies()


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
        with readable(path) as plain:
            status = checkpoint.read(plain)
            status.assert_existing_objects_matched()
            status.expect_partial()
    except (AssertionError, *READ_ERRORS) as error:
        raise UserError(
            f"{path}: the checkpoint cannot be restored ({first_line(error)}): it is of another "
            "model, or damaged; use the model that it was trained with, or train into another "
            "--output"
        ) from error


def read_identity(path: str) -> RunIdentity:
    """Returns the identity of the run that a checkpoint is of.

    Raises:
        UserError: the checkpoint is damaged, or is none of a run.
    """
    values = read_values(path, "corpus", "vocabulary", "settings")
    try:
        corpus, vocabulary, settings = (value.decode() for value in values)
        return RunIdentity(corpus=corpus, vocabulary=vocabulary, settings={**json.loads(settings)})
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is no checkpoint of a run: it does not say what it is of; move it away"
        ) from error
