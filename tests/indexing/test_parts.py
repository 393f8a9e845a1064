"""Parts: made once, kept while file and digest agree."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from corpora import flip
from tfrecords import contents_of, slow_offsets, write_records

from pipeline import UserError
from pipeline.indexing.parts import FOLDER, PartTask, find_part, keep_part, make_tasks
from pipeline.indexing.paths import find_files

CONTENTS = contents_of(20)


@pytest.fixture
def task(tmp_path: Path) -> PartTask:
    write_records(tmp_path / "x", CONTENTS)
    (tmp_path / "index" / FOLDER).mkdir(parents=True)
    (task,) = make_tasks(tmp_path / "index", find_files([tmp_path / "x"]), check=False)
    return task


def advanced(task: PartTask) -> int:
    """Makes the part; returns the bytes that were said to be done."""
    done: list[int] = []
    assert find_part(task, done.append).num_records == 20
    assert np.fromfile(f"{task.part}.offsets", "<u8").tolist() == slow_offsets(CONTENTS)
    return sum(done)


def test_a_part_is_made_once(task: PartTask) -> None:
    assert advanced(task) == task.file.num_bytes
    written = Path(f"{task.part}.offsets").stat().st_mtime_ns
    assert advanced(task) == task.file.num_bytes
    assert Path(f"{task.part}.offsets").stat().st_mtime_ns == written
    for damaged in (".offsets", ".json"):
        flip(Path(task.part + damaged), 90)
        assert advanced(task) == task.file.num_bytes


def test_a_part_is_of_the_file_as_it_was(task: PartTask) -> None:
    advanced(task)
    for changes in ({"modified": 0}, {"num_bytes": 0}):
        changed = dataclasses.replace(task, file=dataclasses.replace(task.file, **changes))
        with pytest.raises(UserError, match="x changed while it was being indexed"):
            find_part(changed, lambda _: None)


def test_a_part_that_was_not_checked_is_not_taken_for_one_that_was(task: PartTask) -> None:
    advanced(task)
    checked = dataclasses.replace(task, check=True)
    damaged = Path(task.file.path)
    flip(damaged, damaged.stat().st_size - 1)
    os.utime(damaged, ns=(0, task.file.modified))
    with pytest.raises(UserError, match=r"record 19 at byte .* checksum of its content is wrong"):
        find_part(checked, lambda _: None)
    flip(damaged, damaged.stat().st_size - 1)
    os.utime(damaged, ns=(0, task.file.modified))
    advanced(checked)
    flip(damaged, damaged.stat().st_size - 1)
    os.utime(damaged, ns=(0, task.file.modified))
    assert advanced(checked) == advanced(task) == task.file.num_bytes, "taken for both"


def test_known_offsets_are_taken(task: PartTask) -> None:
    offsets = np.array(slow_offsets(CONTENTS), "<u8")
    keep_part(task, offsets)
    Path(task.file.path).unlink()  # it is not read
    assert advanced(task) == task.file.num_bytes
    keep_part(task, offsets + 1)
    assert advanced(task) == task.file.num_bytes, "what is there and right stays"


def test_files_of_one_name_have_parts_of_their_own(tmp_path: Path) -> None:
    for folder in "ab":
        write_records(tmp_path / folder / "x", CONTENTS)
    found = find_files([tmp_path / "*" / "x"])
    assert len({task.part for task in make_tasks(tmp_path, found, check=True)}) == 2
