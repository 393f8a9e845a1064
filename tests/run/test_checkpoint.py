"""checkpoint: which there are, damaged ones, and weights from them."""

from pathlib import Path

import pytest
import tensorflow as tf
from checkpoints import IDENTITY, build, checkpointer

from pipeline import UserError
from pipeline.errors import OptionError
from trainer.run.checkpoint import (
    DIRECTORY,
    find_best,
    find_checkpoint,
    find_newest,
    newest_checkpoint,
    newest_step,
    read_identity,
    restore,
    restore_weights,
    validation_of,
)
from trainer.run.storing import store


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    path = find_checkpoint(tmp_path).path
    with pytest.raises(UserError, match=r"ckpt-1: the checkpoint cannot be restored .*another"):
        restore_weights(path, build(seed=1, vocabulary_size=10)[0])


def test_damage_that_comes_later_is_an_error_of_its_own(tmp_path: Path) -> None:
    saved = checkpointer(tmp_path, *build(seed=1))
    path = saved.save(1)
    data = next((tmp_path / DIRECTORY).glob("ckpt-1.data-*"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UserError, match="ckpt-1: the checkpoint cannot be restored"):
        restore(saved._restored, path)
    with pytest.raises(UserError, match="ckpt-1 is damaged"):
        read_identity(path)


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no checkpoint yet"):
        find_checkpoint(tmp_path)


def test_which_checkpoint_must_be_one_that_there_is(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    with pytest.raises(UserError, match=r"no best checkpoint: .*--eval_every.*--checkpoint newest"):
        find_checkpoint(tmp_path, "best")
    with pytest.raises(OptionError, match="`checkpoint` must be one of best, newest, got 'last'"):
        find_checkpoint(tmp_path, "last")


def test_what_there_is_is_found(tmp_path: Path) -> None:
    assert (newest_step(tmp_path), newest_checkpoint(tmp_path)) == (0, None)
    assert (find_newest(tmp_path), find_best(tmp_path)) == (None, None)
    saved = checkpointer(tmp_path, *build(seed=1))
    saved.save_best(3, 2.0, "validation")
    saved.save(6)
    assert newest_step(tmp_path) == 6
    newest, best = find_checkpoint(tmp_path, "newest"), find_checkpoint(tmp_path, "best")
    assert find_checkpoint(tmp_path) == best
    assert newest.path == newest_checkpoint(tmp_path) == f"{tmp_path}/checkpoints/ckpt-6"
    assert (newest.step, newest.warnings(), best.step) == (6, [], 3)
    assert validation_of(best.path) == (3, 2.0, "validation")
    assert read_identity(newest.path) == IDENTITY
    with pytest.raises(UserError, match=r"ckpt-6 is no best checkpoint"):
        validation_of(newest.path)


@pytest.mark.parametrize("settings", [None, "[]", "{", "3", "[[1]]"])
def test_a_checkpoint_that_does_not_say_what_it_is_of(tmp_path: Path, settings: str | None) -> None:
    values = {"corpus": "c", "vocabulary": "v", "settings": settings}
    strings = {name: tf.Variable(value) for name, value in values.items() if value is not None}
    store(tf.train.Checkpoint(step=tf.Variable(1), **strings), str(tmp_path / DIRECTORY), 1)
    with pytest.raises(UserError, match="ckpt-1 is no checkpoint of a run: it does not say"):
        read_identity(find_checkpoint(tmp_path).path)
