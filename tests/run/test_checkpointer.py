"""checkpointer: everything is saved, the best one apart, and restored into its own run alone."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from checkpoints import IDENTITY, NUM_VARIABLES, build, checkpointer
from training import checkpoint_arrays, run_child

from pipeline import Corpus, UserError
from trainer.run.checkpoint import (
    BEST_DIRECTORY,
    DIRECTORY,
    find_best,
    find_checkpoint,
    find_newest,
    restore_weights,
    validation_of,
)
from trainer.run.checkpointer import Checkpointer
from trainer.run.identity import RunIdentity
from trainer.steps.averaging import WeightAverage


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
    restore_weights(find_checkpoint(tmp_path).path, weights_only)
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


def test_the_best_is_kept_beside_the_newest_and_knows_its_loss(tmp_path: Path) -> None:
    model, optimizer = build(seed=1)
    saved = checkpointer(tmp_path, model, optimizer)
    assert find_best(tmp_path) is None
    weight = model.trainable_variables[0]
    kept = []
    for step, loss in ((1, 3.0), (2, math.nan), (3, 2.0), (4, 2.0), (5, 2.5)):
        weight.assign(weight * 0 + step)
        saved.save(step)
        kept.append(saved.save_best(step, loss, "validation"))
    assert kept == [True, False, True, False, False]
    assert [path.stem for path in (tmp_path / BEST_DIRECTORY).glob("*.index")] == ["ckpt-3"]
    assert validation_of(find_checkpoint(tmp_path, "best").path) == (3, 2.0, "validation")

    other, _ = build(seed=2)
    for which, step in (("newest", 5), ("best", 3)):
        restore_weights(find_checkpoint(tmp_path, which).path, other)
        np.testing.assert_array_equal(other.trainable_variables[0], np.full(weight.shape, step))

    # A restart goes on comparing with the best one's loss, unless it measures something else.
    again = checkpointer(tmp_path, *build(seed=3))
    assert again.restore() == 5
    assert not again.save_best(6, 2.1, "validation")
    assert again.save_best(6, 2.1, "test")
    assert (again.best_step("test"), again.best_step("validation")) == (6, None)
    assert validation_of(find_checkpoint(tmp_path, "best").path) == (6, 2.1, "test")


def test_a_best_one_of_another_run_is_refused(tmp_path: Path) -> None:
    checkpointer(tmp_path, *build(seed=1)).save_best(1, 2.0, "validation")
    other = RunIdentity(corpus="d" * 64, vocabulary="v" * 64, settings=IDENTITY.settings)
    with pytest.raises(UserError, match="this corpus is not the one the run was trained on"):
        Checkpointer(tmp_path, identity=other, keep=2).go_on_from(None, find_best(tmp_path))


class Lanes:
    """What a checkpointer knows of lanes: values that are put together, and spread."""

    def __init__(self) -> None:
        self.own, self.saved = [1.0, 2.0], [tf.Variable([0.0, 0.0], trainable=False)]

    def collect(self) -> None:
        self.saved[0].assign(self.own)

    def spread(self) -> None:
        self.own = self.saved[0].numpy().tolist()


def test_lanes_are_put_together_and_spread(tmp_path: Path) -> None:
    for own in ([3.0, 4.0], None):
        lanes: Any = Lanes()
        made = Checkpointer(tmp_path, identity=IDENTITY, keep=2)
        made.go_on_from(find_newest(tmp_path), None)
        made.track(*build(seed=1), lanes=lanes)
        if own is not None:
            lanes.own = own
            made.save(3)
    assert made.restore() == 3
    assert lanes.own == [3.0, 4.0]


@pytest.mark.parametrize("is_chief", [True, False])
def test_the_host_that_writes_sets_what_is_damaged_aside(tmp_path: Path, is_chief: bool) -> None:
    run = tmp_path / "run"
    saved = checkpointer(run, *build(seed=1))
    for step in (3, 6):
        saved.save(step)
    index = run / DIRECTORY / "ckpt-6.index"
    index.write_bytes(b"")
    target = None if is_chief else str(tmp_path / "scratch")
    again = Checkpointer(run, identity=IDENTITY, keep=2, target=target)
    again.go_on_from(find_newest(run), find_best(run))
    lines = again.set_damaged_aside()
    assert f"{run}/{DIRECTORY}/ckpt-6 is damaged (" in lines[0]
    folder = run / DIRECTORY / "damaged"
    assert lines[1:] == ([f"what is left of it is now in {folder}"] if is_chief else [])
    assert (index.exists(), folder.exists()) == (not is_chief, is_chief)


def fail(*_: object, **__: object) -> None:
    raise tf.errors.ResourceExhaustedError(None, None, "the disk is full")


def refuse(*_: object, **__: object) -> None:
    raise UserError("the disk is full")


def test_what_cannot_be_moved_or_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = checkpointer(tmp_path, *build(seed=1), keep=1)
    for step in (3, 6):
        saved.save(step)
        saved.save_best(step, 9.0 - step, "validation")
    for name in ("remove_older", "remove_others", "set_aside"):
        monkeypatch.setattr(f"trainer.run.checkpointer.{name}", refuse)
    with pytest.raises(UserError, match=r"checkpoints: older .* step 9 cannot be removed \(the d"):
        saved.save(9)
    with pytest.raises(UserError, match=r"best: older .* step 9 cannot be removed \(the disk is f"):
        saved.save_best(9, 1.0, "validation")
    (tmp_path / DIRECTORY / "ckpt-9.index").write_bytes(b"")
    again = checkpointer(tmp_path, *build(seed=1))
    with pytest.raises(UserError, match=r"damaged checkpoints in it cannot be moved \(the disk"):
        again.set_damaged_aside()


@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_what_cannot_be_written_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    run = f"{prefix}{tmp_path}"
    made = Checkpointer(run, identity=IDENTITY, keep=2)
    made.go_on_from(None, None)
    made.own()
    made.track(*build(seed=1))
    made.save(3)
    before = sorted((tmp_path / DIRECTORY).iterdir())
    write = tf.train.Checkpoint.write

    def half(checkpoint: tf.train.Checkpoint, path: str) -> None:
        for end in (".data-00000-of-00001", ".index"):
            tf.io.gfile.makedirs(path.rpartition("/")[0])
            with tf.io.gfile.GFile(path + end, "wb") as file:
                file.write(b"half of it")
        tf.io.gfile.makedirs(f"{path}_temp")
        fail()

    monkeypatch.setattr(tf.train.Checkpoint, "write", half)
    with pytest.raises(UserError, match=r"step 6 cannot be written \(the disk is full\); those "):
        made.save(6)
    assert sorted((tmp_path / DIRECTORY).iterdir()) == before
    monkeypatch.setattr(tf.train.Checkpoint, "write", write)
    assert made.save(6) == f"{run}/{DIRECTORY}/ckpt-6"


# A limit on the size of files stands for a disk without room: it needs no privileges.
FULL = """
import resource, sys
from pathlib import Path
from training import tiny
from trainer.loop import train
corpus, run = sys.argv[1:]
options = {"units": 64, "steps": 6}
train(tiny(corpus, run, **options), quiet=True)
size = next(Path(run, "checkpoints").glob("*.data*")).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
try:
    train(tiny(corpus, run, **options | {"steps": 12}), quiet=True)
except ValueError as error:
    print(type(error).__name__, error)
print(sorted(path.name for path in Path(run, "checkpoints").iterdir()))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(train(tiny(corpus, run, **options | {"steps": 12}), quiet=True).start_step)
"""


def test_without_room_for_a_checkpoint_the_last_one_stays_whole(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    error, files, start_step = run_child(FULL, char_corpus.directory, str(tmp_path)).splitlines()
    folder = tmp_path / DIRECTORY
    assert error.startswith(f"UserError {folder}: the checkpoint of step 12 cannot be written (")
    assert "those that are there stay whole. Make room, and the same command goes on" in error
    assert files == str(["ckpt-6.data-00000-of-00001", "ckpt-6.index"])
    assert start_step == "6"
    assert checkpoint_arrays(str(folder / "ckpt-12"))


def test_hosts_compare_what_they_found(tmp_path: Path) -> None:
    made = checkpointer(tmp_path, *build(seed=1))
    assert set(made.found().values()) == {None}
    made.save(3)
    made.save_best(3, 1.5, "validation")
    found, again = (checkpointer(tmp_path, *build(seed=1)).found() for _ in range(2))
    assert found == again
    newest, best = found.values()
    assert newest[0] == 3
    assert best == (3, 1.5, "validation")
    # Another training's checkpoint of the same step is another one.
    (tmp_path / "other").mkdir()
    checkpointer(tmp_path / "other", *build(seed=2)).save(3)
    (other, _) = checkpointer(tmp_path / "other", *build(seed=2)).found().values()
    assert other[0] == 3
    assert other != newest


def test_the_weights_to_use_are_the_average_where_there_is_one(tmp_path: Path) -> None:
    model, optimizer = build(seed=1)
    made = Checkpointer(tmp_path, identity=IDENTITY, keep=2)
    made.go_on_from(None, None)
    average = WeightAverage(tf.distribute.get_strategy(), model, decay=0.9)
    for variable in average.variables:
        variable.assign_add(tf.ones_like(variable))
    made.track(model, optimizer, average=average)
    path = made.save(1)
    used = build(seed=2)[0]
    restore_weights(path, used)
    for weight, expected in zip(used.trainable_variables, average.variables, strict=True):
        assert np.array_equal(weight.numpy(), expected.numpy())
