"""Batches of NumPy arrays: those of the graph, step by step, whatever is asked for."""

import itertools
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TRAIN, flip, make, prepared, sliced_windows, text, write_many
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import Corpus, OptionError, UserError
from pipeline.reading.damage import asserted_damage


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    """Many shards of many documents, records of a few tokens; and one that has several groups."""
    folder = tmp_path_factory.mktemp("corpora")
    small = prepared(
        folder / "small",
        write_many(folder / "text", num_files=20, large=3000),
        vocabulary="char",
        shard_bytes=700,
        record_tokens=16,
        splits=TRAIN,
    )
    content = text(300_000, seed=1)
    large = make(folder / "large", content, shard_bytes=70_000, record_tokens=1000, splits=TRAIN)
    return [small, large]


def leaves(batch: Any) -> list[np.ndarray]:
    if isinstance(batch, tuple):
        return [array for part in batch for array in leaves(part)]
    return [batch]


def check_equal(batches: Iterator[Any], expected: Iterator[Any]) -> int:
    """Arrays of the same nesting, shapes, types and values; returns how many."""
    count = 0
    for ours, theirs in zip(batches, expected, strict=True):
        count += 1
        assert len(ours) == len(theirs)
        for one, other in zip(leaves(ours), leaves(theirs), strict=True):
            assert (one.dtype, one.shape) == (other.dtype, other.shape)
            np.testing.assert_array_equal(one, other)
            assert one.flags.writeable
    return count


def check_asked(
    corpora: list[Corpus], *, index: int, host: int, num_batches: int, **asked: Any
) -> None:
    corpus, hosts = corpora[index], asked["host_count"]
    options = {
        **asked,
        "batch_size": asked["batch_size"] * hosts,
        "host_index": host % hosts,
        "shuffle_bytes": 2**18,
        "span_tokens": 512,
    }
    if options["epochs"] is not None:
        num_windows = corpus.num_windows(
            "train", seq_len=options["seq_len"], stride=options["stride"]
        )
        options["start_step"] = options["epochs"] * num_windows // options["batch_size"] - 3
        if options["start_step"] < 0:
            return
    batches = corpus.batches("train", **options)
    windows = corpus.windows("train", **options)
    first, second = (
        itertools.islice(found, num_batches) for found in (batches, windows.as_numpy_iterator())
    )
    count = check_equal(first, second)
    if options["epochs"] is not None:
        assert count == len(batches) == len(windows) == 3


asked_for = given(
    index=st.integers(0, 1),
    host=st.integers(0, 2),
    num_batches=st.integers(1, 60),
    seq_len=st.integers(1, 50),
    stride=st.none() | st.integers(1, 70),
    batch_size=st.integers(1, 40),
    seed=st.none() | st.integers(0, 3),
    start_step=st.integers(0, 3000),
    epochs=st.none() | st.integers(1, 3),
    host_count=st.integers(1, 3),
    targets=st.sampled_from(["sequence", "last"]),
    across_documents=st.just(True),
    segments=st.booleans(),
)
HEALTH = [HealthCheck.differing_executors]


@settings(max_examples=3, deadline=None, suppress_health_check=HEALTH)
@asked_for
def test_batches_are_those_of_the_graph(corpora: list[Corpus], **asked: Any) -> None:
    check_asked(corpora, **asked)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@settings(max_examples=200, deadline=None, suppress_health_check=HEALTH)
@asked_for
def test_many_batches_are_those_of_the_graph(corpora: list[Corpus], **asked: Any) -> None:
    check_asked(corpora, **asked)


def test_windows_of_one_document_are_those_of_the_graph(corpora: list[Corpus]) -> None:
    options: dict[str, Any] = {
        "seq_len": 30,
        "batch_size": 8,
        "stride": 7,
        "across_documents": False,
        "epochs": 1,
    }
    batches, windows = (
        corpora[0].batches("train", **options),
        corpora[0].windows("train", **options),
    )
    assert check_equal(iter(batches), windows.as_numpy_iterator()) == len(batches) > 50
    assert any((weights == 0).any() for _, _, weights in batches)


def test_an_epoch_has_every_window_once(corpora: list[Corpus]) -> None:
    """Against windows sliced one by one: a smaller group at the end, a short batch left out."""
    corpus = corpora[1]
    expected = sliced_windows(corpus, "train", seq_len=20)
    options: dict[str, Any] = {"seq_len": 20, "batch_size": 64, "shuffle_bytes": 2**19}
    epoch = len(expected) // 64
    batches = itertools.islice(corpus.batches("train", **options), 3 * epoch + 3)
    rows = [
        tuple(row)
        for inputs, targets in batches
        for row in np.concatenate([inputs, targets[:, -1:]], axis=1).tolist()
    ]
    for start in range(0, 3 * len(expected), len(expected)):
        assert sorted(rows[start : start + len(expected)]) == sorted(expected)
    assert rows[: len(expected)] != expected


def test_there_is_a_length_where_there_is_an_end(corpora: list[Corpus]) -> None:
    asked: dict[str, Any] = {"seq_len": 20, "batch_size": 8}
    with pytest.raises(TypeError, match="no end"):
        len(corpora[0].batches("train", **asked))
    batches = corpora[0].batches("train", **asked, epochs=2, start_step=5)
    assert len(batches) == len(list(batches)) == len(list(batches)) > 0


def test_an_iterator_that_is_left_leaves_no_thread(corpora: list[Corpus]) -> None:
    before = threading.active_count()
    batches = iter(corpora[1].batches("train", seq_len=20, batch_size=8))
    next(batches)
    assert threading.active_count() > before
    del batches
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "next"}, "`targets` must be sequence or last, got 'next'"),
        ({"segments": True, "across_documents": False}, "`segments` has no effect"),
        ({"epochs": 1, "batch_size": 10**6}, "`batch_size` must be at most"),
        ({"batch_size": 0}, "`batch_size` must be"),
    ],
)
def test_what_windows_refuse_is_refused(
    corpora: list[Corpus], options: dict[str, Any], message: str
) -> None:
    """At once, and not when it is iterated over."""
    for ask in (corpora[0].batches, corpora[0].windows):
        with pytest.raises(OptionError, match=message):
            ask("train", **{"seq_len": 20, "batch_size": 8, **options})


def _first(batches: Any) -> list[list[int]]:
    inputs, _ = next(iter(batches))
    return inputs.tolist()


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_batches_go_to_other_processes(corpora: list[Corpus], method: str) -> None:
    """As PyTorch hands them to its workers, while they are read here."""
    batches = corpora[0].batches("train", seq_len=20, batch_size=8)
    here = iter(batches)
    expected = next(here)[0].tolist()
    assert pickle.loads(pickle.dumps(corpora[0])).fingerprint == corpora[0].fingerprint
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        assert pool.submit(_first, batches).result(60) == expected


def test_damage_is_what_the_graph_says(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(5000), record_tokens=100, splits=TRAIN)
    (path,) = Path(corpus.directory).glob("*.tfrecord-*")
    asked: dict[str, Any] = {"seq_len": 20, "batch_size": 8, "seed": None}
    flip(path, path.stat().st_size // 2)
    with pytest.raises(UserError) as ours:
        list(itertools.islice(corpus.batches("train", **asked), 1000))
    with pytest.raises(Exception, match="is missing or damaged") as theirs:
        list(corpus.windows("train", **asked).take(1000))
    assert str(ours.value).startswith(str(asserted_damage(str(theirs.value))))
    assert "the checksum of its content is wrong" in str(ours.value)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"{path}: one of the records .* is missing or damaged"):
        next(iter(corpus.batches("train", **asked)))
    path.unlink()
    with pytest.raises(UserError, match=f"{path}: one of the records .* is missing or damaged"):
        next(iter(corpus.batches("train", **asked)))


def test_a_corpus_that_was_replaced_is_found(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(5000), splits=TRAIN)
    batches = corpus.batches("train", seq_len=20, batch_size=8)
    (Path(corpus.directory) / "manifest.json").unlink()
    with pytest.raises(UserError, match="was replaced or removed while it was read"):
        next(iter(batches))


def test_no_tensorflow_is_loaded(corpora: list[Corpus]) -> None:
    program = (
        "import sys, pipeline\n"
        f"corpus = pipeline.open_corpus({corpora[0].directory!r})\n"
        "asked = dict(seq_len=8, batch_size=4)\n"
        "next(iter(corpus.batches('train', **asked, across_documents=False)))\n"
        "next(iter(corpus.batches('train', **asked, segments=True)))\n"
        "next(iter(corpus.lane_batches('train', **asked)))\n"
        "print([name for name in sys.modules if name in ('tensorflow', 'keras')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
