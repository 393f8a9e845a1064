"""checkpoint: everything is in it, and it is only restored into its own run."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from training import tiny

from pipeline import UserError
from pipeline.errors import OptionError
from trainer.models import LanguageModel, build_model
from trainer.run.checkpoint import (
    BEST_DIRECTORY,
    DIRECTORY,
    Checkpointer,
    RunIdentity,
    best_loss,
    restore_weights,
)
from trainer.steps.optimization import Adam

IDENTITY = RunIdentity(corpus="c" * 64, vocabulary="v" * 64, settings={"units": 8, "seed": 0})


# Variables of two layers: weights, and the seed of each dropout layer and recurrent layer.
NUM_VARIABLES = {"lstm": 1 + 2 * 4 + 2 + 2, "gru": 1 + 2 * 4 + 2 + 2, "transformer": 1 + 2 * 8 + 1}
NUM_VARIABLES["own_models:recurrent"] = 1 + 2 * 4 + 2 + 2


def build(
    seed: int, vocabulary_size: int = 9, model_kind: str = "lstm"
) -> tuple[LanguageModel, Adam]:
    keras.utils.set_random_seed(seed)
    config = tiny("corpus", "run", model=model_kind, embedding_dim=None, seed=seed)
    model = build_model(config, vocabulary_size, use_cudnn=True)
    optimizer = Adam(1e-2)
    optimizer.build(model.trainable_variables)
    return model, optimizer


def checkpointer(run: Path, model: LanguageModel, optimizer: Adam, keep: int = 2) -> Checkpointer:
    made = Checkpointer(run, identity=IDENTITY, keep=keep)
    made.check()
    made.track(model, optimizer)
    return made


@pytest.mark.parametrize("kind", NUM_VARIABLES)
def test_every_variable_comes_back(tmp_path: Path, kind: str) -> None:
    model, optimizer = build(seed=1, model_kind=kind)
    model(np.zeros([2, 3], np.int32), training=True)  # moves the seed generators on
    optimizer.apply([variable * 2 for variable in model.trainable_variables])
    saved = checkpointer(tmp_path, model, optimizer)
    assert saved.newest() is None
    assert saved.restore() == 0
    saved.save(7)

    other_model, other_optimizer = build(seed=2, model_kind=kind)
    assert checkpointer(tmp_path, other_model, other_optimizer).restore() == 7
    weights_only, _ = build(seed=3, model_kind=kind)
    restore_weights(tmp_path, weights_only)
    assert len(model.variables) == NUM_VARIABLES[kind]
    for one, other, third in zip(
        model.variables, other_model.variables, weights_only.variables, strict=True
    ):
        np.testing.assert_array_equal(one, other, err_msg=one.path)
        np.testing.assert_array_equal(one, third, err_msg=one.path)
    for one, other in zip(optimizer.variables, other_optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


def test_the_newest_ones_are_kept(tmp_path: Path) -> None:
    saved = checkpointer(tmp_path, *build(seed=1), keep=2)
    for step in (3, 6, 9):
        saved.save(step)
    steps = {path.stem for path in (tmp_path / DIRECTORY).glob("*.index")}
    assert steps == {"ckpt-6", "ckpt-9"}


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (
            RunIdentity(corpus="d" * 64, vocabulary="v" * 64, settings=IDENTITY.settings),
            "this corpus is not the one the run was trained on: the run's corpus has the "
            "fingerprint cccccccccccccccc, the one given dddddddddddddddd; give the run's own "
            "--corpus, or train into another --output",
        ),
        (
            RunIdentity(corpus="d" * 64, vocabulary="w" * 64, settings=IDENTITY.settings),
            "this vocabulary is not the one the run was trained on: the run's vocabulary has the "
            "fingerprint vvvvvvvvvvvvvvvv, the one given wwwwwwwwwwwwwwww",
        ),
        (
            RunIdentity(corpus="c" * 64, vocabulary="v" * 64, settings={"units": 16, "seed": 1}),
            "other settings: `units`: the run has 8, now 16; `seed`: the run has 0, now 1. "
            "Give the run's settings to resume it, or train into another --output",
        ),
    ],
)
def test_another_run_is_refused_with_both_sides(
    tmp_path: Path, identity: RunIdentity, message: str
) -> None:
    checkpointer(tmp_path, *build(seed=1)).save(1)
    with pytest.raises(UserError) as error:
        Checkpointer(tmp_path, identity=identity, keep=2).check()
    assert message in str(error.value)


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


def test_the_best_is_kept_beside_the_newest_and_knows_its_loss(tmp_path: Path) -> None:
    model, optimizer = build(seed=1)
    saved = checkpointer(tmp_path, model, optimizer)
    assert best_loss(tmp_path) == {}
    weight = model.trainable_variables[0]
    kept = []
    for step, loss in ((1, 3.0), (2, math.nan), (3, 2.0), (4, 2.0), (5, 2.5)):
        weight.assign(weight * 0 + step)
        saved.save(step)
        kept.append(saved.save_best(step, loss, "validation"))
    assert kept == [True, False, True, False, False]
    assert [path.stem for path in (tmp_path / BEST_DIRECTORY).glob("*.index")] == ["ckpt-3"]
    assert best_loss(tmp_path) == {"validation": 2.0}

    other, _ = build(seed=2)
    for which, step in (("newest", 5), ("best", 3)):
        restore_weights(tmp_path, other, which=which)
        np.testing.assert_array_equal(other.trainable_variables[0], np.full(weight.shape, step))

    # A restart goes on comparing with the best one's loss, unless it measures something else.
    again = checkpointer(tmp_path, *build(seed=3))
    assert again.restore() == 5
    assert not again.save_best(6, 2.1, "validation")
    assert again.save_best(6, 2.1, "test")
    assert best_loss(tmp_path) == {"test": 2.1}


def test_a_best_one_of_another_run_is_refused(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save_best(1, 2.0, "validation")
    other = RunIdentity(corpus="d" * 64, vocabulary="v" * 64, settings=IDENTITY.settings)
    with pytest.raises(UserError, match="this corpus is not the one the run was trained on"):
        Checkpointer(tmp_path, identity=other, keep=2).check()


def test_which_checkpoint_must_be_one_that_there_is(tmp_path: Path) -> None:
    model, optimizer = build(seed=1)
    checkpointer(tmp_path, model, optimizer).save(1)
    with pytest.raises(UserError, match=r"no best checkpoint: .*--eval_every.*--checkpoint newest"):
        restore_weights(tmp_path, model, which="best")
    with pytest.raises(OptionError, match="`checkpoint` must be one of newest, best; got 'last'"):
        restore_weights(tmp_path, model, which="last")
