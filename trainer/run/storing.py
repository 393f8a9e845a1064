"""Storing of checkpoints: written whole or not at all, the older ones removed, damaged ones kept.

Nothing but files of checkpoints in the directory that is named is touched, each by its own name.
"""

import contextlib
import os
import tempfile

import tensorflow as tf

from pipeline.errors import UserError
from pipeline.files import (
    exists,
    is_in_store,
    join,
    make_directory,
    move,
    names_in,
    put_file,
    remove,
    remove_tree,
    sync_directory,
    write_text,
)
from trainer.run.stored import UNFINISHED, files_by_step, has_index, prefix

_DAMAGED = "damaged"


def store(checkpoint: tf.train.Checkpoint, directory: str, step: int) -> None:
    """Writes a checkpoint. It is there, safe from a power failure on a local disk, or it is not.

    Its files get their names when they are on the disk, the index last: without one that lies
    in `UNFINISHED` still, the others do not count. Into a store each goes whole, the index last,
    while a mark in `UNFINISHED` says that it is to come.

    Raises:
        OSError: it cannot be written.
        tf.errors.OpError: the same.
        UserError: the same, in a store.
    """
    forget_unfinished(directory)
    staging = join(directory, UNFINISHED)
    if is_in_store(directory):
        with tempfile.TemporaryDirectory(prefix="textreel-") as scratch:
            checkpoint.write(prefix(scratch, step))
            mark = prefix(staging, step) + ".index"
            write_text(mark, "")
            remove(prefix(directory, step) + ".index")
            for name in sorted(os.listdir(scratch)):  # the index last
                put_file(join(scratch, name), join(directory, name))
            remove(mark)
        return
    checkpoint.write(prefix(staging, step))
    names = sorted(os.listdir(staging))  # the index last
    for name in names:
        with open(join(staging, name), "rb") as file:
            os.fsync(file.fileno())
    remove(prefix(directory, step) + ".index")
    for name in names:
        move(join(staging, name), join(directory, name))
    sync_directory(directory)
    os.rmdir(staging)


def forget_unfinished(directory: str) -> None:
    """Removes what a save that was cut off has left."""
    staging = join(directory, UNFINISHED)
    if not (names_in(staging) if is_in_store(directory) else os.path.isdir(staging)):
        return
    counted = files_by_step(directory)
    begun = {f"ckpt-{step}.data-" for step in files_by_step(staging) if step not in counted}
    for name in names_in(directory):
        if name.startswith(tuple(begun)):
            remove(join(directory, name))
    remove_tree(staging)


def forget_failed(directory: str) -> None:
    """Removes what a save that failed has left, as far as that is possible."""
    with contextlib.suppress(OSError, UserError):
        forget_unfinished(directory)


def remove_older(directory: str, step: int, *, keep: int) -> None:
    """Removes the files of older checkpoints than `step`, but for the newest `keep`, it included.

    Raises:
        OSError: one cannot be removed.
        UserError: the same, in a store.
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
        UserError: the same, in a store.
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
        UserError: the same, in a store.
    """
    number, folder = 1, join(directory, _DAMAGED)
    while exists(folder):
        number += 1
        folder = join(directory, f"{_DAMAGED}-{number}")
    stored = files_by_step(directory)
    make_directory(folder)
    for step in steps:
        for name in stored.get(step, []):
            move(join(directory, name), join(folder, name))
    return folder


def _remove(directory: str, names: list[str]) -> None:
    for name in sorted(names, reverse=True):  # the index first: without it, it is none
        remove(join(directory, name))
