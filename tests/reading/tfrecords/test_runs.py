"""Runs of records, read through an index: those that stand there, or an error that names them."""

import random
from pathlib import Path

import numpy as np
import pytest
import storage
import tensorflow as tf
from corpora import flip
from tfrecords import contents_of, write_records

from pipeline import OptionError, index_records, open_index
from pipeline.files import put_file
from pipeline.reading.tfrecords.runs import RecordFiles, Runs, read_runs

CONTENTS = [contents_of(30, seed=1), [], contents_of(1, seed=2), contents_of(17, seed=3)]
ALL = [content for contents in CONTENTS for content in contents]


@pytest.fixture
def files(tmp_path: Path) -> RecordFiles:
    for number, contents in enumerate(CONTENTS):
        write_records(tmp_path / f"x-{number}", contents)
    return RecordFiles(index_records([tmp_path / "x-*"], tmp_path / "index"), read_ahead=3)


def runs_of(*runs: tuple[int, int, int]) -> Runs:
    return Runs(*(tf.constant(column, tf.int64) for column in zip(*runs, strict=True)))


def random_runs(count: int, seed: int) -> list[tuple[int, int, int]]:
    source, found = random.Random(seed), []
    first_records = [0, 30, 31, 48]
    while len(found) < count:
        file = source.randrange(3)
        first = source.randrange(first_records[file], first_records[file + 1])
        found.append((file, first, source.randint(1, first_records[file + 1] - first)))
    return found


@pytest.mark.parametrize("compiled", [False, True])
def test_runs_are_the_records_that_stand_there(files: RecordFiles, compiled: bool) -> None:
    read = tf.function(lambda *runs: read_runs(files, Runs(*runs))) if compiled else None
    for seed in range(10):
        runs = random_runs(1 + seed, seed)
        found = read(*runs_of(*runs)) if read else read_runs(files, runs_of(*runs))
        expected = [content for _, first, count in runs for content in ALL[first : first + count]]
        assert found.numpy().tolist() == expected


def test_extents_are_exact(files: RecordFiles) -> None:
    for file, first, count in ((0, 0, 30), (0, 29, 1), (1, 30, 1), (2, 40, 8), (2, 31, 3)):
        extent = files.extent(
            Runs(*(tf.constant(value, tf.int64) for value in (file, first, count)))
        )
        sizes = [len(content) + 16 for content in ALL[first : first + count]]
        assert np.diff(extent.numpy()).tolist() == sizes


@pytest.mark.parametrize("place", [0, 9, 12, 40])
def test_damage_is_named(files: RecordFiles, tmp_path: Path, place: int) -> None:
    offset = int(open_index(tmp_path / "index").place(35).offset)
    flip(tmp_path / "x-3", offset + place)
    good, bad = (0, 3, 20), (2, 33, 5)
    assert len(read_runs(files, runs_of(good))) == 20
    message = f"x-3: record 4, from byte {offset} on, is missing or damaged, or the file is not the"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        read_runs(files, runs_of(good, bad, good))


def test_a_file_that_is_another_one_is_named(files: RecordFiles, tmp_path: Path) -> None:
    longer = [*CONTENTS[0][:5], b"y" * 500]  # a record begins where the one asked for did
    for replacement in ([], [b"short"], [b"x" * 500] * 30, CONTENTS[3] * 2, longer):
        write_records(tmp_path / "x-0", replacement)
        with pytest.raises(tf.errors.InvalidArgumentError, match="x-0: record 5, from byte "):
            read_runs(files, runs_of((0, 5, 1)))
    (tmp_path / "x-0").unlink()
    with pytest.raises(tf.errors.InvalidArgumentError, match="x-0: record 5, from byte "):
        read_runs(files, runs_of((0, 5, 2)))


def test_an_index_behind_a_uri(files: RecordFiles, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="must lie in a file system of this machine, got file://"):
        RecordFiles(open_index(f"file://{tmp_path}/index"), read_ahead=1)


def test_files_in_a_store_that_tensorflow_does_not_read(s3: storage.Store, tmp_path: Path) -> None:
    uri = f"{s3.new_bucket()}/x"
    write_records(tmp_path / "x", CONTENTS[0])
    put_file(tmp_path / "x", uri)
    index = index_records([uri], tmp_path / "index")
    with pytest.raises(OptionError, match=f"or in gs://, .*, got {uri}: copy the files here"):
        RecordFiles(index, read_ahead=1)
