"""stored: the files say what there is, and damage of every kind is found before it is used."""

import errno
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from checkpoints import build, checkpointer
from training import assert_same_bits, checkpoint_arrays

from pipeline import UserError
from trainer.run.checkpoint import BEST_DIRECTORY, DIRECTORY
from trainer.run.stored import Found, files_by_step, find, read_values, readable

INDEX, DATA = ".index", ".data-00000-of-00001"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of steps 3, 6 and 9."""
    run = tmp_path_factory.mktemp("run")
    made = checkpointer(run, *build(seed=1), keep=3)
    for step in (3, 6, 9):
        made.save(step)
    return run / DIRECTORY


@pytest.fixture
def directory(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / DIRECTORY))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


DAMAGE: list[Callable[[Path], None]] = [cut, empty, zeros, flip, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("suffix", [INDEX, DATA])
def test_the_newest_whole_one_is_found_and_what_is_lost_is_said(
    directory: Path, suffix: str, damage: Callable[[Path], None]
) -> None:
    found = find(str(directory))
    assert found is not None
    assert (found.step, found.lost) == (9, {})
    damage(directory / f"ckpt-9{suffix}")
    found = find(str(directory))
    assert found is not None
    assert (found.path, list(found.lost)) == (f"{directory}/ckpt-6", [9])
    (line,) = found.warnings()
    assert line.startswith(f"warning: {directory}/ckpt-9 is damaged (")
    assert line.endswith("); going on from the newest whole one, of step 6")
    for step in (3, 6):
        damage(directory / f"ckpt-{step}{suffix}")
    before = {path: path.read_bytes() for path in directory.iterdir()}
    with pytest.raises(UserError, match=r"none that is whole: ckpt-9 \(.*ckpt-3 \(.*another --out"):
        find(str(directory))
    assert {path: path.read_bytes() for path in directory.iterdir()} == before


@pytest.mark.parametrize("count", [40, pytest.param(2000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("suffix", [INDEX, DATA])
def test_one_flipped_bit_is_found_or_changes_nothing(
    directory: Path, suffix: str, count: int
) -> None:
    path, generator = directory / f"ckpt-9{suffix}", random.Random(3)
    whole, expected = path.read_bytes(), checkpoint_arrays(str(directory / "ckpt-9"))
    for _ in range(count):
        data = bytearray(whole)
        data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        found = find(str(directory))
        assert found is not None
        if found.step == 9:
            assert_same_bits(checkpoint_arrays(found.path), expected)


def test_the_state_file_says_nothing(directory: Path) -> None:
    for content in (b"", b"\xff\xfe", b'model_checkpoint_path: "ckpt-3"\n', b"<<<<<<< HEAD\n"):
        (directory / "checkpoint").write_bytes(content)
        found = find(str(directory))
        assert found is not None
        assert found.step == 9


def test_other_files_are_no_checkpoints(directory: Path) -> None:
    for name in ("ckpt-12_temp", "ckpt-12.index.old", "ckpt-012.index", "ckpt-x.index", "z.index"):
        (directory / name).mkdir()
    assert list(files_by_step(str(directory))) == [3, 6, 9]
    assert files_by_step(str(directory / "none")) == {}
    assert find(str(directory / "none")) is None


def test_a_checkpoint_under_another_ones_name_is_none(directory: Path) -> None:
    for suffix in (INDEX, DATA):
        shutil.copy(directory / f"ckpt-3{suffix}", directory / f"ckpt-12{suffix}")
    found = find(str(directory))
    assert found is not None
    assert (found.step, found.lost) == (9, {12: "it is of step 3, under another's name"})


def test_a_reader_looks_again_where_files_come_and_go(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that keeps one checkpoint removes it while it is read, and has a newer one."""
    only = directory.parent / "only"
    only.mkdir()
    for suffix in (INDEX, DATA):
        shutil.copy(directory / f"ckpt-6{suffix}", only)

    def go_on(path: str) -> None:
        for suffix in (DATA, INDEX):
            shutil.copy(directory / f"ckpt-9{suffix}", only)
            (only / f"ckpt-6{suffix}").unlink(missing_ok=True)

    def replaced(path: str) -> object:
        go_on(path)
        return readable(path)

    monkeypatch.setattr("trainer.run.stored.readable", replaced)
    found = find(str(only))
    assert found is not None
    assert (found.step, found.lost) == (9, {})


def test_a_directory_that_never_rests_is_not_read_for_ever(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in directory.glob("*.data-*"):
        path.unlink()
    steps = iter(range(100, 10**6))

    def another(path: str) -> dict[int, list[str]]:
        return {**files_by_step(path), next(steps): ["ckpt-0.index"]}

    monkeypatch.setattr("trainer.run.stored.files_by_step", another)
    with pytest.raises(UserError, match="none that is whole"):
        find(str(directory))
    assert next(steps) < 150


def test_what_cannot_be_listed_is_not_taken_for_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="nosuch://run/checkpoints"):
        find("nosuch://run/checkpoints")

    def refuse(path: str) -> list[str]:
        raise PermissionError(errno.EACCES, "no permission", path)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(UserError, match=r"cannot be read: .*no permission"):
        find(str(directory))


@pytest.mark.parametrize("name", ["r[ab]", "g*", "q?", "b\\x", "a[b", "x]y"])
@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_a_path_is_no_pattern(saved: Path, tmp_path: Path, name: str, prefix: str) -> None:
    """Beside directories that it would match, as a pattern."""
    for other in ("ra", "gg", "qq"):
        shutil.copytree(saved, tmp_path / other)
    directory = shutil.copytree(saved, tmp_path / name)
    for suffix in (INDEX, DATA):
        (directory / f"ckpt-9{suffix}").unlink()
    found = find(f"{prefix}{directory}")
    assert found is not None
    assert (found.step, found.lost) == (6, {})
    assert read_values(found.path, "step") == [6]


def test_a_run_with_brackets_is_saved_restored_and_cleaned_alone(tmp_path: Path) -> None:
    other = checkpointer(tmp_path / "ra", *build(seed=1), keep=5)
    for step in (1, 2, 3):
        other.save(step)
        other.save_best(step, 4.0 - step, "validation")
    run = tmp_path / "r[ab]"
    model, optimizer = build(seed=2)
    mine = checkpointer(run, model, optimizer, keep=1)
    for step in (4, 5):
        mine.save(step)
        mine.save_best(step, 9.0 - step, "validation")
    assert list(files_by_step(str(run / DIRECTORY))) == [5]
    assert list(files_by_step(str(run / BEST_DIRECTORY))) == [5]
    assert list(files_by_step(str(tmp_path / "ra" / DIRECTORY))) == [1, 2, 3]
    assert list(files_by_step(str(tmp_path / "ra" / BEST_DIRECTORY))) == [3]
    again, other_optimizer = build(seed=3)
    assert checkpointer(run, again, other_optimizer).restore() == 5
    for one, two in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_file_in_place_of_a_directory_has_no_checkpoints(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_bytes(b"")
    assert find(str(tmp_path / DIRECTORY)) is None


def test_the_digest_is_of_the_content_wherever_it_lies(directory: Path) -> None:
    found = find(str(directory))
    assert found is not None
    stored = Found(directory=f"disk:/{directory}", step=found.step, lost={})
    assert stored.digest() == found.digest()
    assert Found(directory=str(directory), step=6, lost={}).digest() != found.digest()
