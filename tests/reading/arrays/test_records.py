"""Records without TensorFlow: the batches of the graph, step by step."""

import itertools
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from corpora import flip
from tfrecords import write_records

from pipeline import OptionError, Records, UserError, index_records, open_records
from pipeline.reading.arrays import records as reading

SMALL: dict[str, Any] = {
    "batch_size": 12,
    "seed": 3,
    "shuffle_bytes": 40_000,  # many groups
    "span_bytes": 700,
}


def distinct(sizes: list[int], *, first: int = 0) -> list[bytes]:
    """Contents of these sizes, or of those that their numbers need."""
    return [str(first + number).encode().ljust(size, b".") for number, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """3,000 records of 0 to 300 bytes in files of many sizes, some of them empty."""
    folder = tmp_path_factory.mktemp("records")
    source = random.Random(0)
    sizes = [source.choice([0, 5, 40, 300]) for _ in range(3000)]
    ends = sorted([*source.choices(range(3000), k=12), 500, 500, 3000])
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        contents = distinct(sizes[start:end], first=start)
        write_records(folder / f"x-{number:04}", [*contents, b""] if end == 500 else contents)
    index_records([folder / "x-*"], folder / "index", workers=1)
    return open_records(folder / "index")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shuffle_bytes": 2**28},
        {"seed": None},
        {"start_step": 247},  # before the end of an epoch
        {"host_count": 3, "host_index": 1, "start_step": 20},
        {"epochs": 1, "start_step": 200},
    ],
)
def test_batches_are_those_of_the_graph(
    records: Records, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Also where a request reads only a part of a run."""
    monkeypatch.setattr(reading, "READ_BYTES", 1000)
    options = {**SMALL, **changes}
    ours, graph = records.array_batches(**options), records.batches(**options)
    rows = 12 // options.get("host_count", 1)
    count = 0
    for batch, expected in zip(
        itertools.islice(ours, 300), graph.take(300).as_numpy_iterator(), strict=True
    ):
        assert (batch.shape, batch.dtype) == (expected.shape, expected.dtype) == ((rows,), object)
        assert batch.tolist() == expected.tolist()
        count += 1
    assert count == (len(ours) if "epochs" in changes else 300)


def test_a_request_reads_no_more_than_it_may(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def read_range(path: str, start: int, stop: int) -> bytes:
        asked.append(stop - start)
        return Path(path).read_bytes()[start:stop]

    monkeypatch.setattr(reading, "READ_BYTES", 1000)
    monkeypatch.setattr(reading, "read_range", read_range)
    next(
        iter(records.array_batches(batch_size=12, epochs=1))
    )  # all in one group, whole files as runs
    assert max(asked) <= 1000 + 316  # the last one begins before that
    assert sum(asked) == records.index.num_bytes


def test_damage_and_replacement_are_named(tmp_path: Path) -> None:
    """As the graph names them, with what is wrong."""
    for number in range(2):
        write_records(tmp_path / f"x-{number}", distinct([30] * 50, first=50 * number))
    index_records([tmp_path / "x-*"], tmp_path / "index", workers=1)
    records = open_records(tmp_path / "index")
    batches = records.array_batches(batch_size=10)
    place = records.index.place(70)
    flip(tmp_path / "x-1", place.offset + 20)
    named = rf"x-1: record 20, from byte {place.offset} on, is missing or damaged, .* \(.*\)$"
    with pytest.raises(UserError, match=named) as error:
        next(iter(batches))
    assert "the checksum of its content is wrong" in str(error.value)
    flip(tmp_path / "x-1", place.offset + 20)
    flip(tmp_path / "x-1", place.offset)
    with pytest.raises(UserError, match=named) as error:
        next(iter(batches))
    assert "it has another length" in str(error.value)
    whole = (tmp_path / "x-1").read_bytes()
    (tmp_path / "x-1").write_bytes(whole[: place.offset + 7])
    with pytest.raises(UserError, match=named):
        next(iter(batches))
    write_records(tmp_path / "x-1", distinct([31] * 50))
    index_records([tmp_path / "x-*"], tmp_path / "index", overwrite=True, workers=1)
    with pytest.raises(UserError, match="index was replaced or removed while it was read"):
        next(iter(batches))
    again = open_records(tmp_path / "index").array_batches(batch_size=10)
    assert next(iter(again)).shape == (10,)
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(UserError, match="index was replaced or removed while it was read"):
        next(iter(again))


def test_what_cannot_be_asked_for(records: Records) -> None:
    with pytest.raises(OptionError, match="`span_bytes` must be an integer of at least 1, got 0"):
        records.array_batches(batch_size=12, span_bytes=0)
    with pytest.raises(TypeError, match="no end"):
        len(records.array_batches(batch_size=12))


def test_no_tensorflow_is_loaded_where_they_are_pickled(records: Records) -> None:
    """As for a worker: the offsets are mapped there, and do not travel."""
    batches = records.array_batches(**SMALL)
    pickled = pickle.dumps(batches)
    assert len(pickled) < records.index.offsets.nbytes // 2
    program = (
        "import pickle, sys\n"
        "batch = next(iter(pickle.load(sys.stdin.buffer)))\n"
        "print([name for name in sys.modules if name in ('tensorflow', 'keras')], batch[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickled, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == f"[] {next(iter(batches))[0]}"
