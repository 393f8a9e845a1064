"""A corpus as readers see it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import TRAIN, make, text

from pipeline import OptionError, UserError, mix, open_corpus
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import Windows
from pipeline.vocabulary.characters import ByteVocabulary


def test_what_a_corpus_tells(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(1000), vocabulary="char")
    assert list(corpus.splits) == ["train", "validation"]
    train, validation = corpus.splits.values()
    assert train.num_tokens + validation.num_tokens == 1002  # and a separator each
    assert train.text_bytes + validation.text_bytes == len(text(1000).encode())
    assert corpus.vocabulary.decode(corpus.vocabulary.encode("日本")) == "日本"
    assert corpus.num_windows("train", seq_len=10) == (train.num_tokens - 11) // 10 + 1
    assert corpus.num_windows("train", seq_len=10, stride=1) == train.num_tokens - 10


def test_windows_are_numbered_shard_by_shard(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(3000), shard_bytes=300, splits=TRAIN)
    windows = Windows(seq_len=9, stride=4)
    first_windows = corpus.first_windows("train", windows)
    counts = [len(range(0, shard.num_tokens - 9, 4)) for shard in corpus.splits["train"].shards]
    assert first_windows.tolist() == [sum(counts[:index]) for index in range(len(counts) + 1)]
    assert corpus.checked_num_windows("train", windows) == sum(counts)
    order = corpus.order("train", Batches(seq_len=9, stride=4, seed=3))
    assert (order.num_windows, order.seed) == (sum(counts), 3)


def test_fingerprints_tell_corpora_apart_and_not_places(tmp_path: Path) -> None:
    first = make(tmp_path / "a", text(1000))
    same = make(tmp_path / "b", text(1000))
    other = make(tmp_path / "c", text(1000, seed=1))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such corpus: .*/absent"):
        open_corpus(tmp_path / "absent")
    corpus = make(tmp_path, text(100), splits=TRAIN)
    calls: dict[str, Any] = {
        "windows": {"seq_len": 4, "batch_size": 2},
        "lanes": {"seq_len": 4, "batch_size": 2},
        "batches": {"seq_len": 4, "batch_size": 2},
        "lane_batches": {"seq_len": 4, "batch_size": 2},
        "num_windows": {"seq_len": 4},
    }
    for name, options in calls.items():
        with pytest.raises(UserError, match=r"no split 'test' in .*/corpus; it has \['train'\]"):
            getattr(corpus, name)("test", **options)
    with pytest.raises(OptionError, match="`seq_len` must be an integer of at least 1, got 0"):
        corpus.num_windows("train", seq_len=0)


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(100), vocabulary="char")
    ByteVocabulary().save(corpus.directory)
    with pytest.raises(UserError, match="not the vocabulary that the corpus was prepared with"):
        open_corpus(corpus.directory)


@pytest.fixture(scope="module")
def every_way(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tf.data.Dataset]:
    """Every way to read a corpus without end."""
    corpus = make(tmp_path_factory.mktemp("every"), text(600), record_tokens=7, splits=TRAIN)
    options = {"seq_len": 9, "batch_size": 4}
    return {
        "windows": corpus.windows("train", **options),
        "weights": corpus.windows("train", **options, across_documents=False),
        "segments": corpus.windows("train", **options, segments=True),
        "lanes": corpus.lanes("train", **options),
        "mix": mix([(corpus, 1), (corpus, 2)], "train", **options),
    }


def test_every_way_to_read_is_a_pure_graph(every_way: dict[str, tf.data.Dataset]) -> None:
    for dataset in every_way.values():
        assert all(spec.shape.is_fully_defined() for spec in tf.nest.flatten(dataset.element_spec))
        graph = dataset._as_serialized_graph().numpy()
        assert b"PyFunc" not in graph
        assert b"NumpyFunction" not in graph


def test_every_way_to_read_says_that_it_has_no_end(every_way: dict[str, tf.data.Dataset]) -> None:
    for name, dataset in every_way.items():
        assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY, name
        assert len(dataset.take(3)) == len(list(dataset.take(3))) == 3, name


def test_every_way_to_read_goes_on_from_a_saved_iterator(
    every_way: dict[str, tf.data.Dataset], tmp_path: Path
) -> None:
    for name, dataset in every_way.items():
        straight = [tf.nest.flatten(batch) for batch in dataset.take(60).as_numpy_iterator()]
        iterator = iter(dataset)
        for _ in range(20):
            next(iterator)
        path = tf.train.Checkpoint(iterator=iterator).write(str(tmp_path / name))
        restored = iter(dataset)
        tf.train.Checkpoint(iterator=restored).read(path).assert_consumed()
        for batch in straight[20:]:
            for part, wanted in zip(tf.nest.flatten(next(restored)), batch, strict=True):
                np.testing.assert_array_equal(part, wanted, err_msg=name)
