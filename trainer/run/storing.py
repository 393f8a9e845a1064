"""Storing of checkpoints: written whole or not at all, the older ones removed, damaged ones kept.

Nothing but files of checkpoints in the directory that is named is touched, each by its own name.
"""

import contextlib
import os
import shutil

import tensorflow as tf

from pipeline.files import exists, is_uri, join, make_directory, sync_directory
from trainer.run.stored import UNFINISHED, files_by_step, has_index, prefix

_DAMAGED = "damaged"


def store(checkpoint: tf.train.Checkpoint, directory: str, step: int) -> None:
    """Writes a checkpoint. On a local disk it is there, safe from a power failure, or it is not.

    Its files get their names when they are on the disk, the index last: without one that lies
    in `UNFINISHED` still, the others do not count.

    Raises:
        OSError: it cannot be written.
        tf.errors.OpError: the same.
    """
    if is_uri(directory):
        checkpoint.write(prefix(directory, step))  # no rename there is a cheap one
        return
    forget_unfinished(directory)
    staging = join(directory, UNFINISHED)
    checkpoint.write(prefix(staging, step))
    names = sorted(os.listdir(staging))  # the index last
    for name in names:
        with open(join(staging, name), "rb") as file:
            os.fsync(file.fileno())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(prefix(directory, step) + ".index")
    for name in names:
        os.replace(join(staging, name), join(directory, name))
    sync_directory(directory)
    os.rmdir(staging)


def forget_unfinished(directory: str) -> None:
    """Removes what a save that was cut off has left."""
    staging = join(directory, UNFINISHED)
    if is_uri(directory) or not os.path.isdir(staging):
        return
    counted = files_by_step(directory)
    begun = {f"ckpt-{step}.data-" for step in files_by_step(staging) if step not in counted}
    for name in os.listdir(directory):
        if name.startswith(tuple(begun)):
            os.unlink(join(directory, name))
    shutil.rmtree(staging)


def forget_failed(directory: str, step: int) -> None:
    """Removes what a save that failed has left, as far as that is possible."""
    with contextlib.suppress(OSError, tf.errors.OpError):
        if not is_uri(directory):
            forget_unfinished(directory)
            return
        for name in files_by_step(directory).get(step, []):
            tf.io.gfile.remove(join(directory, name))
        tf.io.gfile.rmtree(f"{prefix(directory, step)}_temp")


def remove_older(directory: str, step: int, *, keep: int) -> None:
    """Removes the files of older checkpoints than `step`, but for the newest `keep`, it included.

    Raises:
        OSError: one cannot be removed.
        tf.errors.OpError: the same, behind a URI.
    """
    stored = files_by_step(directory)
    whole = sorted(old for old, names in stored.items() if old <= step and has_index(names))
    for old, names in stored.items():
        if old < step and old not in whole[-keep:]:
            _remove(directory, names)


def remove_others(directory: str, step: int) -> None:
    """Removes the files of all checkpoints but that of `step`.

    Raises:
        OSError: one cannot be removed.
        tf.errors.OpError: the same, behind a URI.
    """
    for other, names in files_by_step(directory).items():
        if other != step:
            _remove(directory, names)


def set_aside(directory: str, steps: list[int]) -> str:
    """Moves the files of damaged checkpoints into a new folder of the directory.

    Returns:
        The folder.

    Raises:
        OSError: they cannot be moved.
        UserError: the same, behind a URI.
        tf.errors.OpError: the same.
    """
    number, folder = 1, join(directory, _DAMAGED)
    while exists(folder):
        number += 1
        folder = join(directory, f"{_DAMAGED}-{number}")
    stored = files_by_step(directory)
    make_directory(folder)
    for step in steps:
        for name in stored.get(step, []):
            tf.io.gfile.rename(join(directory, name), join(folder, name))
    return folder


def _remove(directory: str, names: list[str]) -> None:
    for name in sorted(names, reverse=True):  # the index first: without it, it is none
        path = join(directory, name)
        tf.io.gfile.remove(path) if is_uri(path) else os.unlink(path)
