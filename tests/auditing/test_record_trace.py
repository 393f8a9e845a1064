"""Traced records: those of the order, where the index says, and where they stand in the files."""

from pathlib import Path

import numpy as np
import pytest
from tfrecords import contents_of, framed, write_records

from pipeline import OptionError, Records, index_records, open_records
from pipeline.auditing.record_trace import trace_records
from pipeline.reading.batches import RecordBatches

OPTIONS = {"batch_size": 16, "shuffle_bytes": 20_000, "span_bytes": 300}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder: Path = tmp_path_factory.mktemp("records")
    for number in range(3):
        write_records(folder / f"x-{number}", contents_of(100 * number, seed=number))
    index_records([folder / "x-*"], folder / "index", workers=1)
    return open_records(folder / "index")


@pytest.mark.parametrize("seed", [None, 0, 5])
def test_rows_are_those_of_the_order(records: Records, seed: int | None) -> None:
    contents = [*contents_of(100, seed=1), *contents_of(200, seed=2)]
    traced = trace_records(records, step=20, seed=seed, **OPTIONS)
    order = records.order(RecordBatches(seed=seed, **OPTIONS))
    assert [row.record for row in traced] == order.windows(320 + np.arange(16)).tolist()
    assert [row.row for row in traced] == list(range(16))
    assert [row.position for row in traced] == list(range(320, 336))
    assert {row.epoch for row in traced} == {1}
    for row in traced:
        expected = framed(contents[row.record])
        stored = Path(row.file).read_bytes()[row.offset : row.offset + len(expected)]
        assert stored == expected
        assert row.number == row.record - (100 if row.file.endswith("x-2") else 0)
    assert trace_records(records, step=20, seed=seed, rows=[5, 2], **OPTIONS) == [
        traced[5],
        traced[2],
    ]


def test_other_options_give_other_rows(records: Records) -> None:
    rows = [
        trace_records(records, step=0, **{**OPTIONS, **changes})
        for changes in ({}, {"seed": 1}, {"span_bytes": 500}, {"shuffle_bytes": 30_000})
    ]
    assert all(rows.count(traced) == 1 for traced in rows)


def test_there_is_no_such_row(records: Records) -> None:
    with pytest.raises(OptionError, match="`row` must be in 0 … `batch_size` - 1, got 16 of 16"):
        trace_records(records, step=0, rows=[16], **OPTIONS)
