"""Lanes against the ring of tokens, read one by one."""

import numpy as np
import pytest
from corpora import make, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import OptionError
from pipeline.layout.records import read_records
from pipeline.reading import lanes as lanes_lib

TRAIN = {"train": 1.0}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    made = []
    for shard_bytes, record_tokens in [(100, 7), (10**6, 50)]:
        folder = tmp_path_factory.mktemp("corpus")
        content = "\n".join(text(40, seed=seed) for seed in range(20))
        options = {"shard_bytes": shard_bytes, "record_tokens": record_tokens, "document": "line"}
        made.append(make(folder, content, vocabulary="char", splits=TRAIN, **options))
    return made


def read_tokens(corpus):
    """All tokens of the split, from the files themselves."""
    parts = []
    for shard in corpus.splits["train"].shards:
        for payload in read_records(f"{corpus.directory}/{shard.file}"):
            parts.append(np.frombuffer(payload, corpus.vocabulary.dtype))
    return np.concatenate(parts).astype(np.int64)


def expected(corpus, step, *, seq_len, batch_size):
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


def take(dataset, count):
    return [(x, r, y) for (x, r), y in dataset.take(count).as_numpy_iterator()]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(
    index=st.integers(0, 1),
    seq_len=st.integers(1, 30),
    rows=st.integers(1, 3),
    hosts=st.integers(1, 3),
    start_step=st.integers(0, 200),
    lane_bytes=st.sampled_from([1, 64, 2**17]),
)
def test_every_batch_is_what_the_ring_holds(
    corpora, index, seq_len, rows, hosts, start_step, lane_bytes
):
    corpus, batch_size = corpora[index], rows * hosts
    options = {"seq_len": seq_len, "batch_size": batch_size}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes_lib, "_LANE_BYTES", lane_bytes)
        parts = [
            take(
                corpus.lanes(
                    "train", **options, start_step=start_step, host_index=host, host_count=hosts
                ),
                3,
            )
            for host in range(hosts)
        ]
    for step in range(3):
        batch = [np.concatenate([part[step][i] for part in parts]) for i in range(3)]
        for ours, theirs in zip(batch, expected(corpus, start_step + step, **options), strict=True):
            assert ours.tolist() == theirs.tolist()


def test_every_token_is_an_input_once_in_each_round(corpora):
    corpus = corpora[0]
    num_tokens = corpus.splits["train"].num_tokens
    batch_size = next(b for b in range(2, 50) if num_tokens % b == 0)
    seq_len = 1
    batches = take(
        corpus.lanes("train", seq_len=seq_len, batch_size=batch_size), num_tokens // batch_size
    )
    read = np.concatenate([x for x, _, _ in batches], axis=1).reshape(-1)
    assert read.tolist() == read_tokens(corpus).tolist()


def test_dtypes_and_static_shapes(corpora):
    (inputs, resets), targets = corpora[0].lanes("train", seq_len=5, batch_size=4).element_spec
    assert (inputs.shape, inputs.dtype.name) == ((4, 5), "int32")
    assert (resets.shape, resets.dtype.name) == ((4, 5), "bool")
    assert (targets.shape, targets.dtype.name) == ((4, 5), "int32")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_step": -1}, "`start_step` must be at least 0"),
        ({"seq_len": 0}, "`seq_len` must be at least 1"),
        ({"batch_size": 3, "host_count": 2}, "`batch_size` must be a multiple of `host_count`"),
        ({"batch_size": 1000}, "`batch_size` times `seq_len` must be at most the tokens"),
        ({"read_ahead": 0}, "`read_ahead` must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(corpora, options, message):
    with pytest.raises(OptionError, match=message):
        corpora[0].lanes("train", **{"seq_len": 5, "batch_size": 4, **options})


def test_a_lane_that_begins_anew_forgets_though_no_separator_stands_before(tmp_path):
    """A split that is cut out of a document ends in the middle of it."""
    halves = {"train": 0.5, "validation": 0.5}
    corpus = make(tmp_path, text(60), vocabulary="char", record_tokens=7, splits=halves)
    ring = read_tokens(corpus)
    assert corpus.vocabulary.separator_id not in ring
    num_steps = len(ring) // 5 + 1
    batches = take(corpus.lanes("train", seq_len=5, batch_size=1), num_steps)
    resets = np.concatenate([resets for _, resets, _ in batches], axis=1)[0]
    assert np.flatnonzero(resets).tolist() == [0, len(ring)]
