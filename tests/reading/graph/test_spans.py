"""Spans: the bytes that are read for them, and the shards that they are read from."""

import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import TRAIN, make, shard_files, text, tokens_of

from pipeline import Corpus, open_corpus
from pipeline.layout.manifest import Split
from pipeline.layout.records import record_bytes
from pipeline.reading.damage import asserted_damage
from pipeline.reading.geometry import Windows
from pipeline.reading.graph.spans import Pieces, ShardFiles, cut_spans, read_pieces

RECORD = record_bytes(100)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Shards of about 64 tokens, some of them too short for a window."""
    folder = tmp_path_factory.mktemp("corpus")
    return make(folder, text(900), shard_bytes=64, record_tokens=7, splits=TRAIN)


def files_of(corpus: Corpus, windows: Windows) -> ShardFiles:
    return ShardFiles(corpus.shards("train", windows, read_ahead=2))


@pytest.mark.parametrize(("seq_len", "stride"), [(5, 3), (60, 1), (63, 10)])
def test_spans_are_cut_where_a_shard_ends(corpus: Corpus, seq_len: int, stride: int) -> None:
    """Against the windows counted one by one, the shards laid twice end to end."""
    windows = Windows(seq_len=seq_len, stride=stride)
    files = files_of(corpus, windows)
    places = []
    sizes = [shard.num_tokens for shard in corpus.splits["train"].shards]
    with_windows = [size for size in sizes if size > seq_len]
    assert seq_len < 60 or 0 < len(with_windows) < len(sizes)
    for shard, size in enumerate(with_windows * 2):
        places += [(shard, first) for first in range(0, size - seq_len, stride)]
    assert files.first_windows[-1] == len(places)
    half = len(places) // 2
    for span in {1, 2, 7, half // 2, half}:
        starts = [0, half // 3, half - 1]
        pieces = cut_spans(files, tf.constant(starts, tf.int64), tf.constant(span, tf.int64))
        expected = []
        for start in starts:
            wanted = places[start : start + span]
            for shard, group in itertools.groupby(wanted, key=lambda place: place[0]):
                firsts = [first for _, first in group]
                expected.append((shard, firsts[0], len(firsts)))
        assert list(zip(*(part.numpy().tolist() for part in pieces), strict=True)) == expected


def test_pieces_are_tiles_of_their_tokens(corpus: Corpus) -> None:
    windows = Windows(seq_len=5, stride=4)
    files = files_of(corpus, windows)
    shards = corpus.splits["train"].shards
    ends = np.cumsum([shard.num_tokens for shard in shards])
    tokens = np.split(tokens_of(corpus, "train"), ends[:-1])
    wanted = [(0, 0, 1), (3, 8, 5), (1, 4, 2)]
    pieces = Pieces(*(tf.constant(part, tf.int64) for part in zip(*wanted, strict=True)))
    tiles, first_tiles = read_pieces(files, pieces)
    assert first_tiles.numpy().tolist() == [0, 2, 8]
    assert tiles.shape == (2 + 6 + 3 + 1, 4)
    assert not tiles[-1].numpy().any()
    for (shard, first, num_windows), tile in zip(wanted, [0, 2, 8], strict=True):
        found = tiles[tile : tile + num_windows + 1].numpy().reshape(-1)
        count = (num_windows - 1) * 4 + 6
        np.testing.assert_array_equal(found[:count], tokens[shard][first : first + count])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's read counters")
def test_a_host_reads_its_part_of_the_bytes(tmp_path: Path) -> None:
    corpus = make(tmp_path, np.random.default_rng(0).bytes(9 * 2**20), splits=TRAIN)
    num_bytes = corpus.splits["train"].disk_bytes
    num_batches = corpus.num_windows("train", seq_len=256) // 16

    def bytes_read() -> int:
        time.sleep(0.2)  # for what is being read ahead
        counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(counters["rchar"])

    def share(host_count: int) -> float:
        options = {"seq_len": 256, "batch_size": 16, "shuffle_bytes": 2**24}
        batches = iter(corpus.windows("train", **options, host_count=host_count))
        marks = []
        for _ in range(2):  # the first epoch brings reading ahead to where it will stay
            for _ in range(num_batches):
                next(batches)
            marks.append(bytes_read())
        return (marks[1] - marks[0]) / num_bytes

    assert 0.95 < share(1) < 1.20
    assert 0.24 < share(4) < 0.30


def test_a_hundred_thousand_shards(tmp_path: Path) -> None:
    """A corpus of 6.5 TB by its manifest; the shards that its first batch needs are there."""
    corpus = make(tmp_path, text(70_000), record_tokens=65536, splits=TRAIN)
    directory = tmp_path / "corpus"
    shard = corpus.splits["train"].shards[0]
    num_shards = 100_000
    (directory / shard.file).rename(tmp_path / "shard")
    files = [f"text-train.tfrecord-{index:05d}-of-{num_shards:05d}" for index in range(num_shards)]
    for file in files[:64]:
        shutil.copy(tmp_path / "shard", directory / file)
    shards = tuple(dataclasses.replace(shard, file=file) for file in files)
    split = Split(shards=shards)
    dataclasses.replace(corpus.manifest, splits={"train": split}).save(directory)
    large = open_corpus(directory)
    assert len(large.splits["train"].shards) == num_shards
    num_windows = large.num_windows("train", seq_len=64)
    assert num_windows == num_shards * corpus.num_windows("train", seq_len=64)
    inputs, targets = next(iter(large.windows("train", seq_len=64, batch_size=32, seed=None)))
    assert inputs[:, 1:].numpy().tolist() == targets[:, :-1].numpy().tolist()
    # 6.5 TB: the numbers are exact, and a step far away costs a seek.
    far = large.windows("train", seq_len=64, batch_size=32, seed=None, start_step=num_windows // 32)
    assert next(iter(far))[0].shape == (32, 64)


@pytest.fixture(scope="module")
def read_all(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int | None, Any]]:
    """A shard, and seed -> the batches that read it: to build them costs more than to read."""
    corpus = make(tmp_path_factory.mktemp("damaged"), text(5000), record_tokens=100, splits=TRAIN)
    (shard,) = shard_files(corpus.directory)
    options = {"seq_len": 10, "batch_size": 10}
    batches = {seed: corpus.windows("train", seed=seed, **options).take(60) for seed in (None, 0)}
    return shard, batches


@pytest.mark.parametrize(
    ("damage", "bad_records"),
    [
        (lambda data: data[: RECORD * 30], range(30, 60)),
        (lambda data: data[: RECORD * 30 + 70], range(30, 60)),
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], [5000 // RECORD]),
        (lambda data: data[: RECORD * 7 + 2] + b"\1" + data[RECORD * 7 + 3 :], [7]),  # a length
        (lambda data: b"", range(60)),
        (None, range(60)),
    ],
)
@pytest.mark.parametrize("seed", [None, 0])
def test_a_damaged_shard_is_named_with_its_records(
    read_all: tuple[Path, dict[int | None, Any]],
    damage: Callable[[bytes], bytes] | None,
    bad_records: range | list[int],
    seed: int | None,
) -> None:
    shard, batches = read_all
    data = shard.read_bytes()
    shard.unlink()
    if damage:
        shard.write_bytes(damage(data))
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        list(batches[seed].as_numpy_iterator())
    shard.write_bytes(data)
    found = asserted_damage(raised.value.message)
    assert found is not None
    assert found.file == str(shard)
    assert set(range(found.first_record, found.last_record + 1)) & set(bad_records)
    assert "textreel repair" in raised.value.message
