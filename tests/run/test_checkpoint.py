"""checkpoint: which there are, damaged ones, and weights from them."""

from pathlib import Path

import pytest
from checkpoints import IDENTITY, build, checkpointer

from pipeline import UserError
from pipeline.errors import OptionError
from trainer.run.checkpoint import (
    DIRECTORY,
    best_loss,
    best_step,
    newest_checkpoint,
    newest_step,
    read_identity,
    restore_weights,
    saved_settings,
)


def test_a_damaged_checkpoint_is_an_error_of_its_own(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    data = next((tmp_path / DIRECTORY).glob("ckpt-1.data-*"))
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(UserError, match="ckpt-1: the checkpoint cannot be restored"):
        checkpointer(tmp_path, *build(seed=1)).restore()


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    with pytest.raises(UserError, match="ckpt-1: the checkpoint cannot be restored"):
        restore_weights(tmp_path, build(seed=1, vocabulary_size=10)[0])


def test_no_checkpoint_yet(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no checkpoint yet"):
        restore_weights(tmp_path, build(seed=1)[0])


def test_which_checkpoint_must_be_one_that_there_is(tmp_path: Path) -> None:
    model, optimizer = build(seed=1)
    checkpointer(tmp_path, model, optimizer).save(1)
    with pytest.raises(UserError, match=r"no best checkpoint: .*--eval_every.*--checkpoint newest"):
        restore_weights(tmp_path, model, which="best")
    with pytest.raises(OptionError, match="`checkpoint` must be one of newest, best, got 'last'"):
        restore_weights(tmp_path, model, which="last")


def test_what_there_is_is_found_by_step_and_split(tmp_path: Path) -> None:
    assert (newest_step(tmp_path), best_step(tmp_path, "validation")) == (0, None)
    assert (saved_settings(tmp_path), best_loss(tmp_path)) == (None, {})
    saved = checkpointer(tmp_path, *build(seed=1))
    saved.save_best(3, 2.0, "validation")
    saved.save(6)
    assert (newest_step(tmp_path), best_step(tmp_path, "validation")) == (6, 3)
    assert best_step(tmp_path, "test") is None
    assert best_loss(tmp_path) == {"validation": 2.0}
    assert saved_settings(tmp_path) == IDENTITY.settings
    path = newest_checkpoint(tmp_path)
    assert path is not None
    assert read_identity(path) == IDENTITY
