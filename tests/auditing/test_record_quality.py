"""The quality of the shuffle of records: a file is a source, and a small buffer is seen as such."""

from pathlib import Path

import pytest
from tfrecords import write_records

from pipeline import OptionError, Records, index_records, open_records
from pipeline.auditing.record_quality import measure_records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder: Path = tmp_path_factory.mktemp("records")
    for number in range(10):
        write_records(folder / f"x-{number}", [b"content"] * 2000 * (number != 3))
    index_records([folder / "x-*"], folder / "index", workers=1)
    return open_records(folder / "index")


def test_ours_is_near_perfect_where_a_buffer_is_not(records: Records) -> None:
    # An eighth of the records in memory, by spans of 10.
    comparison = measure_records(
        records, batch_size=30, shuffle_bytes=18_000 * 23 // 8 * 4, span_bytes=230
    )
    assert comparison.num_windows == 18_000
    assert comparison.buffer_windows == 18_000 // 2
    assert 0.8 < comparison.ours.variance < 1.2
    assert comparison.buffer.variance > 1.5
    assert comparison.ours.sources > comparison.buffer.sources + 0.5
    assert comparison.host_bytes[1] == pytest.approx(1, abs=0.01)
    assert comparison.host_bytes[3] == pytest.approx(1 / 3, abs=0.03)
    assert comparison.host_bytes.keys() == {1, 2, 3}


def test_a_batch_of_more_than_there_are(records: Records) -> None:
    message = "`batch_size` must be at most the 18000 records, got 18001"
    with pytest.raises(OptionError, match=message):
        measure_records(records, batch_size=18_001)
