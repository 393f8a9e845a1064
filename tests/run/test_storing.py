"""storing: written whole or not at all, wherever it stops; only a run's own files are removed."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

from trainer.run import storing
from trainer.run.stored import UNFINISHED, files_by_step, find
from trainer.run.storing import remove_older, remove_others, set_aside, store


def checkpoint(step: int) -> tf.train.Checkpoint:
    weights = tf.Variable(tf.zeros([50]))
    return tf.train.Checkpoint(step=tf.Variable(step, dtype=tf.int64), weights=weights)


def steps_in(directory: Path) -> list[int]:
    return sorted(files_by_step(str(directory)))


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("point", range(1, 7))
def test_a_save_that_is_cut_off_leaves_the_older_ones_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    """Before each of its file operations: two fsyncs, two renames, a sync, a rmdir."""
    store(checkpoint(3), str(tmp_path), 3)
    calls = []

    def stop_at_point(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> object:
            calls.append(name)
            if len(calls) == point:
                raise Stopped
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    with monkeypatch.context():
        for name in ("fsync", "replace", "rmdir"):
            stop_at_point(name)
        with pytest.raises(Stopped):
            store(checkpoint(6), str(tmp_path), 6)
        monkeypatch.undo()
    found = find(str(tmp_path))
    assert found is not None
    assert (found.step, found.lost) == (6 if point > 4 else 3, {})
    for step in (6, 9):
        store(checkpoint(step), str(tmp_path), step)
        found = find(str(tmp_path))
        assert found is not None
        assert (found.step, found.lost) == (step, {})
    assert not (tmp_path / UNFINISHED).exists()


def test_the_very_first_save_that_is_cut_off_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(source: str, target: str) -> None:
        if source.endswith("index"):
            raise Stopped
        os.rename(source, target)

    with monkeypatch.context() as context:
        context.setattr(storing.os, "replace", stop)
        with pytest.raises(Stopped):
            store(checkpoint(3), str(tmp_path), 3)
    assert find(str(tmp_path)) is None
    store(checkpoint(6), str(tmp_path), 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ckpt-6.data-00000-of-00001",
        "ckpt-6.index",
    ]


@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_only_older_checkpoints_are_removed(tmp_path: Path, prefix: str) -> None:
    directory = f"{prefix}{tmp_path}"
    for step in (3, 6, 9, 12):
        store(checkpoint(step), directory, step)
    others = ["checkpoint", "ckpt-3.txt", "ckpt-3.index.old", "notes", "ckpt-6"]
    for name in others:
        (tmp_path / name).write_text('all_model_checkpoint_paths: "/elsewhere/ckpt-1"\n')
    (tmp_path / "ckpt-3.index").unlink()  # a removal that was cut off
    remove_older(directory, 9, keep=1)
    assert steps_in(tmp_path) == [9, 12]
    remove_others(directory, 9)
    assert steps_in(tmp_path) == [9]
    assert all((tmp_path / name).exists() for name in others)


@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_what_is_damaged_is_kept_and_its_step_is_free(tmp_path: Path, prefix: str) -> None:
    directory = f"{prefix}{tmp_path}"
    kept = []
    for number in range(2):
        store(checkpoint(6), directory, 6)
        index = tmp_path / "ckpt-6.index"
        index.write_bytes(bytes([number]))
        folder = set_aside(directory, [6])
        assert folder == f"{directory}/damaged{'-2' if number else ''}"
        kept.append(tmp_path / folder.rpartition("/")[2] / "ckpt-6.index")
        assert steps_in(tmp_path) == []
    assert [path.read_bytes() for path in kept] == [b"\0", b"\1"]
    store(checkpoint(6), directory, 6)
    found = find(directory)
    assert found is not None
    assert found.step == 6
