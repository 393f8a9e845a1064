"""Lanes against the ring of tokens, read one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TRAIN, make, text, tokens_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import Corpus, OptionError
from pipeline.reading import geometry


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    made = []
    for shard_bytes, record_tokens in [(100, 7), (10**6, 50)]:
        folder = tmp_path_factory.mktemp("corpus")
        content = "\n".join(text(40, seed=seed) for seed in range(20))
        options = {"shard_bytes": shard_bytes, "record_tokens": record_tokens, "document": "line"}
        made.append(make(folder, content, vocabulary="char", splits=TRAIN, **options))
    return made


def read_tokens(corpus: Corpus) -> np.ndarray:
    return tokens_of(corpus, "train").astype(np.int64)


def expected(corpus: Corpus, step: int, *, seq_len: int, batch_size: int) -> tuple[np.ndarray, ...]:
    ring = read_tokens(corpus)
    n = len(ring)
    inputs, resets, targets = [], [], []
    for lane in range(batch_size):
        start = lane * n // batch_size + step * seq_len
        places = [(start + i) % n for i in range(seq_len)]
        inputs.append([ring[p] for p in places])
        targets.append([ring[(p + 1) % n] for p in places])
        separator = corpus.vocabulary.separator_id
        resets.append([p == 0 or ring[p - 1] == separator for p in places])
    return np.array(inputs), np.array(resets), np.array(targets)


def take(dataset: Any, count: int) -> list[tuple[np.ndarray, ...]]:
    return [(x, r, y) for (x, r), y in dataset.take(count).as_numpy_iterator()]


asked_for = given(
    index=st.integers(0, 1),
    seq_len=st.integers(1, 30),
    rows=st.integers(1, 3),
    hosts=st.integers(1, 3),
    host=st.integers(0, 2),
    start_step=st.integers(0, 200),
    lane_bytes=st.sampled_from([1, 64, 2**17]),
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@asked_for
def test_every_batch_is_what_the_ring_holds(corpora: list[Corpus], **asked: int) -> None:
    check_batches(corpora, **asked)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@asked_for
def test_many_batches_are_what_the_ring_holds(corpora: list[Corpus], **asked: int) -> None:
    check_batches(corpora, **asked)


def check_batches(
    corpora: list[Corpus],
    *,
    index: int,
    seq_len: int,
    rows: int,
    hosts: int,
    host: int,
    start_step: int,
    lane_bytes: int,
) -> None:
    """The batches of a host are its rows of those of the ring."""
    corpus, host = corpora[index], host % hosts
    options = {"seq_len": seq_len, "batch_size": rows * hosts}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geometry, "_LANE_BYTES", lane_bytes)
        dataset = corpus.lanes(
            "train", **options, start_step=start_step, host_index=host, host_count=hosts
        )
        batches = take(dataset, 3)
    own = slice(host * rows, (host + 1) * rows)
    for step, batch in enumerate(batches, start_step):
        for ours, theirs in zip(batch, expected(corpus, step, **options), strict=True):
            assert ours.tolist() == theirs[own].tolist()


def test_every_token_is_an_input_once_in_each_round(corpora: list[Corpus]) -> None:
    corpus = corpora[0]
    num_tokens = corpus.splits["train"].num_tokens
    batch_size = next(b for b in range(2, 50) if num_tokens % b == 0)
    seq_len = 1
    batches = take(
        corpus.lanes("train", seq_len=seq_len, batch_size=batch_size), num_tokens // batch_size
    )
    read = np.concatenate([x for x, _, _ in batches], axis=1).reshape(-1)
    assert read.tolist() == read_tokens(corpus).tolist()


def test_dtypes_and_static_shapes(corpora: list[Corpus]) -> None:
    (inputs, resets), targets = corpora[0].lanes("train", seq_len=5, batch_size=4).element_spec
    assert (inputs.shape, inputs.dtype.name) == ((4, 5), "int32")
    assert (resets.shape, resets.dtype.name) == ((4, 5), "bool")
    assert (targets.shape, targets.dtype.name) == ((4, 5), "int32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_step": -1}, "`start_step` must be an integer of at least 0, got"),
        ({"seq_len": 0}, "`seq_len` must be an integer of at least 1, got"),
        ({"batch_size": 3, "host_count": 2}, "`batch_size` must be a multiple of `host_count`"),
        (
            {"batch_size": 1000},
            "`seq_len` must be at most the .* tokens of the split, got 1000 lanes",
        ),
        ({"read_ahead": 0}, "`read_ahead` must be an integer of at least 1, got"),
    ],
)
def test_what_cannot_be_is_refused(
    corpora: list[Corpus], options: dict[str, int], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        corpora[0].lanes("train", **{"seq_len": 5, "batch_size": 4, **options})


def test_a_lane_that_begins_anew_forgets(tmp_path: Path) -> None:
    """Also where the split is a range of a document, which it ends with a separator."""
    halves = {"train": 0.5, "validation": 0.5}
    corpus = make(tmp_path, text(60), vocabulary="char", record_tokens=7, splits=halves)
    ring = read_tokens(corpus)
    assert np.flatnonzero(ring == corpus.vocabulary.separator_id).tolist() == [len(ring) - 1]
    num_steps = len(ring) // 5 + 1
    batches = take(corpus.lanes("train", seq_len=5, batch_size=1), num_steps)
    resets = np.concatenate([resets for _, resets, _ in batches], axis=1)[0]
    assert np.flatnonzero(resets).tolist() == [0, len(ring)]
