"""Records in batches: in the order of NumPy, each once an epoch, for any hosts, start and files."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import flip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import dataset as tfds_dataset
from tfrecords import write_records

from pipeline import OptionError, Records, UserError, index_records, open_records
from pipeline.reading.batches import RecordBatches

BATCHING = {"batch_size": 12, "seed": 3}
SMALL: dict[str, Any] = {**BATCHING, "shuffle_bytes": 40_000, "span_bytes": 700}  # many groups


def distinct(sizes: Sequence[int], *, first: int = 0) -> list[bytes]:
    """Contents of these sizes, or of those that their numbers need."""
    return [str(first + number).encode().ljust(size, b".") for number, size in enumerate(sizes)]


def indexed(folder: Path, files: Sequence[Sequence[bytes]]) -> Records:
    for number, contents in enumerate(files):
        write_records(folder / f"x-{number:04}", contents)
    index_records([folder / "x-*"], folder / "index", workers=1)
    return open_records(folder / "index")


def plain(records: Records) -> list[bytes]:
    """All records, by TensorFlow, in the order of the files."""
    files = [file.path for file in records.index.files]
    return list(tf.data.TFRecordDataset(files).as_numpy_iterator())


def take(records: Records, num_batches: int, **options: Any) -> list[list[bytes]]:
    dataset = records.batches(**options).take(num_batches)
    return [batch.tolist() for batch in dataset.as_numpy_iterator()]


def oracle(
    records: Records, contents: list[bytes], num_batches: int, **options: Any
) -> list[list[bytes]]:
    """Batches as the order of NumPy has them, of contents that were read otherwise."""
    batches = RecordBatches(**options)
    first = batches.start_step * batches.batch_size
    numbers = records.order(batches).windows(first + np.arange(num_batches * batches.batch_size))
    rows = np.array(numbers).reshape(num_batches, batches.batch_size)[:, batches.places]
    return [[contents[number] for number in row] for row in rows.tolist()]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """3,000 records of 0 to 300 bytes in files of many sizes, some of them empty."""
    source = random.Random(0)
    sizes = [source.choice([0, 5, 40, 300]) for _ in range(3000)]
    ends = sorted([*source.choices(range(3000), k=12), 500, 500, 3000])
    bounds = list(zip([0, *ends[:-1]], ends, strict=True))
    files = [[], *([*distinct(sizes[start:end], first=start)] for start, end in bounds), []]
    return indexed(tmp_path_factory.mktemp("records"), files)


@pytest.mark.parametrize("options", [BATCHING, SMALL, {**SMALL, "seed": None}])
def test_two_epochs_are_the_order_of_numpy(records: Records, options: dict[str, Any]) -> None:
    contents = plain(records)
    assert len(set(contents)) == len(contents) == len(records) == 3000
    batches = take(records, 500, **options)
    assert batches == oracle(records, contents, 500, **options)
    first, second = (
        [content for batch in half for content in batch] for half in (batches[:250], batches[250:])
    )
    assert sorted(first) == sorted(second) == sorted(contents)
    assert (first == second == contents) == (options["seed"] is None)


def test_the_options_of_the_order_change_it(records: Records) -> None:
    found = [
        take(records, 1, **{**SMALL, **changes})
        for changes in ({}, {"seed": 4}, {"span_bytes": 800}, {"shuffle_bytes": 80_000})
    ]
    assert all(found.count(batch) == 1 for batch in found)
    assert take(records, 1, **SMALL, read_ahead=1) == found[0]


@pytest.mark.parametrize("host_count", [3, 4])
def test_the_batch_is_the_same_for_any_hosts_and_start(records: Records, host_count: int) -> None:
    step = 247 * host_count // 4  # before the end of the epoch, or in the midst of it
    together = oracle(records, plain(records), 10, **SMALL, start_step=step)
    shares = []
    for host_index in range(host_count):
        host = {"host_index": host_index, "host_count": host_count, "start_step": step}
        share = take(records, 10, **SMALL, **host)
        assert share == oracle(records, plain(records), 10, **SMALL, **host)
        shares.append(share)
    for batch, *parts in zip(together, *shares, strict=True):
        assert sorted(batch) == sorted(content for part in parts for content in part)


def test_any_step_is_a_start(records: Records) -> None:
    batches = take(records, 300, **SMALL)
    for step in (1, 99, 249):
        assert take(records, 40, **SMALL, start_step=step) == batches[step : step + 40]
    # The batch size may change in mid-run: 12 rows become 18.
    rows = [content for batch in batches for content in batch]
    larger = take(records, 4, **{**SMALL, "batch_size": 18}, start_step=100)
    assert [content for batch in larger for content in batch] == rows[1800:1872]


def test_the_shape_is_static_and_there_is_no_end(records: Records) -> None:
    dataset = records.batches(**SMALL, host_count=4, host_index=2)
    assert dataset.element_spec == tf.TensorSpec([3], tf.string)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


SIZES = st.lists(st.integers(0, 60), max_size=25)


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_sizes_of_any_files(data: st.DataObject) -> None:
    """Records without content, files without records, and groups of a single one among them."""
    sizes = data.draw(st.lists(SIZES, min_size=1, max_size=12).filter(any))
    files = [[bytes([number]) * size for size in of_file] for number, of_file in enumerate(sizes)]
    contents = [content for of_file in files for content in of_file]
    options: dict[str, Any] = {
        "batch_size": data.draw(st.sampled_from([1, 2, 5, 8])),
        "seed": data.draw(st.sampled_from([None, 0, 2**40])),
        "start_step": data.draw(st.integers(0, 30)),
        "span_bytes": data.draw(st.sampled_from([1, 200, 2**16])),
        "shuffle_bytes": data.draw(st.sampled_from([10_000, 2**28])),
    }
    with tempfile.TemporaryDirectory() as folder:
        records = indexed(Path(folder), files)
        try:
            expected = oracle(records, contents, 40, **options)
        except OptionError:
            assert options["span_bytes"] * 4 > options["shuffle_bytes"]
            return
        assert take(records, 40, **options) == expected


def test_many_small_files(tmp_path: Path) -> None:
    records = indexed(tmp_path, [[b"%d" % number] for number in range(400)])
    batches = take(records, 100, batch_size=4, shuffle_bytes=4000, span_bytes=100)
    rows = [content for batch in batches for content in batch]
    assert Counter(rows) == Counter(b"%d" % number for number in range(400))
    assert rows != plain(records)


def test_a_dataset_of_tfds_is_shuffled_and_parsed(tmp_path: Path) -> None:
    source = tfds_dataset(tmp_path, [f"text {number}" for number in range(200)])
    index_records([source / "*.tfrecord*"], tmp_path / "index", workers=1)
    dataset = open_records(tmp_path / "index").batches(batch_size=10)
    parsed = dataset.map(
        lambda batch: tf.io.parse_example(
            batch,
            {
                "n": tf.io.FixedLenFeature([], tf.int64),
                "text": tf.io.FixedLenFeature([], tf.string),
            },
        )
    )
    rows = [
        (int(n), text.decode())
        for batch in parsed.take(20).as_numpy_iterator()
        for n, text in zip(batch["n"], batch["text"], strict=True)
    ]
    assert sorted(rows) == [(number, f"text {number}") for number in range(200)]
    assert rows != sorted(rows)


def test_damage_and_replacement_are_named_while_it_is_read(tmp_path: Path) -> None:
    records = indexed(tmp_path, [distinct([30] * 50), distinct([30] * 50, first=50)])
    batches = records.batches(batch_size=10)
    place = records.index.place(70)
    flip(tmp_path / "x-0001", place.offset + 20)
    message = rf"x-0001: record 20, from byte {place.offset} on, is missing or damaged"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(batches))
    write_records(tmp_path / "x-0001", distinct([31] * 50))
    with pytest.raises(UserError, match="x-0001 had 2,300 bytes then, and 2,350 now"):
        open_records(tmp_path / "index")
    index_records([tmp_path / "x-*"], tmp_path / "index", overwrite=True, workers=1)
    message = "index was replaced or removed while it was read"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(batches))
    again = open_records(tmp_path / "index").batches(batch_size=10)
    assert next(iter(again)).shape == [10]
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        next(iter(again))


def test_a_graph_without_python(records: Records) -> None:
    """A Python function in it could not be saved, or run by a service."""
    graph = records.batches(**SMALL)._as_serialized_graph().numpy()
    assert b"PyFunc" not in graph
    assert b"TFRecordDatasetV2" in graph


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1, got 0"),
        ({"span_bytes": 0}, "`span_bytes` must be an integer of at least 1, got 0"),
        ({"span_bytes": None}, "`span_bytes` must be an integer of at least 1, got None"),
        ({"shuffle_bytes": 2000}, r"`shuffle_bytes` must hold 4 spans of \d+ bytes, got 2000"),
        ({"host_count": 5}, "`batch_size` must be a multiple of `host_count`"),
        ({"host_index": 1}, "`host_index` must be in 0 … `host_count` - 1, got 1 of 1"),
        ({"start_step": -1}, "`start_step` must be an integer of at least 0, got -1"),
    ],
)
def test_what_cannot_be_asked_for(records: Records, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        records.batches(**{**SMALL, **changes})


def test_a_group_has_the_memory_that_it_may_have(records: Records) -> None:
    """In the mean: a quarter of `shuffle_bytes`, for there are four copies of a group."""
    order = records.order(RecordBatches(**SMALL))
    group = order.group(0)
    spans = int(np.sum(group.span_windows > 0))
    span_records = 700 // records.record_bytes
    assert order.span_windows == span_records
    assert order.num_groups > 10
    assert spans * span_records * records.record_bytes <= 40_000 // 4
    assert (spans + order.stripes) * span_records * records.record_bytes > 40_000 // 8


def test_epochs_end_with_their_last_full_batch(records: Records) -> None:
    dataset = records.batches(**SMALL, epochs=1, start_step=240)
    assert len(dataset) == 3000 // 12 - 240
    endless = take(records, 10, **SMALL, start_step=240)
    assert [batch.tolist() for batch in dataset.as_numpy_iterator()] == endless
