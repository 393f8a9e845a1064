import itertools
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from corpora import make, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import OptionError, UserError, reference_windows
from pipeline.layout.records import record_bytes
from pipeline.reading.geometry import Windows, make_order

TRAIN = {"train": 1.0}
RECORD = record_bytes(100)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """Corpora whose shards and records are so small that every boundary occurs."""
    made = {}
    for vocabulary, shard_bytes, record_tokens in [
        ("byte", 64, 1),
        ("byte", 100, 7),
        ("char", 300, 16),
        ("char", 10**6, 100),
    ]:
        made[vocabulary, shard_bytes, record_tokens] = make(
            tmp_path_factory.mktemp("corpus"),
            text(1500),
            vocabulary=vocabulary,
            shard_bytes=shard_bytes,
            record_tokens=record_tokens,
            splits=TRAIN,
        )
    return list(made.values())


def expected_windows(corpus, **options):
    return [tuple(w) for w in reference_windows(corpus, "train", **options).as_numpy_iterator()]


def take(corpus, num_batches, **options):
    dataset = corpus.windows("train", **options).take(num_batches)
    return [(np.array(x), np.array(y)) for x, y in dataset.as_numpy_iterator()]


def rows(batches):
    """Windows of batches with targets="sequence"."""
    for inputs, targets in batches:
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        yield from (tuple(w) for w in np.concatenate([inputs, targets[:, -1:]], axis=1))


def test_the_reference_is_the_arithmetic_of_the_docstring(tmp_path):
    corpus = make(tmp_path, bytes(range(8)), record_tokens=2, splits=TRAIN)  # and a separator
    assert expected_windows(corpus, seq_len=3, stride=2) == [
        (0, 1, 2, 3),
        (2, 3, 4, 5),
        (4, 5, 6, 7),
    ]
    assert corpus.num_windows("train", seq_len=3, stride=2) == 3


@pytest.mark.parametrize("seed", [None, 0, 3])
@pytest.mark.parametrize(("seq_len", "stride"), [(5, 1), (8, 3), (6, None), (4, 9), (40, 64)])
def test_an_epoch_is_the_reference(corpora, seq_len, stride, seed):
    for corpus in corpora:
        expected = expected_windows(corpus, seq_len=seq_len, stride=stride)
        assert len(expected) == corpus.num_windows("train", seq_len=seq_len, stride=stride)
        batches = take(
            corpus,
            -(-2 * len(expected) // 8),
            seq_len=seq_len,
            stride=stride,
            batch_size=8,
            seed=seed,
            shuffle_bytes=2**20,
        )
        windows = list(rows(batches))
        first, second = windows[: len(expected)], windows[len(expected) : 2 * len(expected)]
        assert Counter(first) == Counter(second) == Counter(expected)
        if seed is None:
            assert first == second == expected
        elif len(expected) > 10:
            assert first != expected
            assert first != second


def test_the_graph_is_the_numpy_order(corpora):
    for corpus, (seq_len, stride, seed) in itertools.product(corpora, [(5, 1, 0), (8, 3, 2)]):
        windows = Windows(seq_len=seq_len, stride=stride)
        expected = expected_windows(corpus, seq_len=seq_len, stride=stride)
        itemsize = np.dtype(corpus.manifest.dtype).itemsize
        order = make_order(windows, len(expected), itemsize=itemsize, seed=seed)
        batches = take(corpus, 40, seq_len=seq_len, stride=stride, batch_size=13, seed=seed)
        positions = order.windows(np.arange(40 * 13))
        assert list(rows(batches)) == [expected[window] for window in positions]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Large enough for several full groups at the smallest `shuffle_bytes`."""
    return make(
        tmp_path_factory.mktemp("large"),
        text(3_000_000, seed=1),
        shard_bytes=700_000,
        record_tokens=5000,
        splits=TRAIN,
    )


def test_full_groups_across_shards(large):
    options = {"seq_len": 1000, "stride": 501, "shuffle_bytes": 2**20}
    expected = expected_windows(large, seq_len=1000, stride=501)
    order = make_order(
        Windows(seq_len=1000, stride=501), len(expected), itemsize=1, seed=5, shuffle_bytes=2**20
    )
    assert order.segments[0].num_groups > 10
    num_batches = len(expected) // 32 + 2
    for host_count in (1, 2):
        hosts = [
            take(
                large,
                num_batches,
                **options,
                batch_size=32,
                seed=5,
                host_index=index,
                host_count=host_count,
            )
            for index in range(host_count)
        ]
        batches = [
            tuple(np.concatenate(parts) for parts in zip(*steps, strict=True))
            for steps in zip(*hosts, strict=True)
        ]
        positions = order.windows(np.arange(num_batches * 32))
        assert list(rows(batches)) == [expected[window] for window in positions]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    length=st.integers(30, 600),
    shard_bytes=st.integers(64, 400),
    record_tokens=st.integers(1, 50),
    seq_len=st.integers(1, 25),
    stride=st.integers(1, 30),
    seed=st.none() | st.integers(0, 9),
    rows_per_host=st.integers(1, 6),
    host_count=st.integers(1, 4),
    start_step=st.integers(0, 200),
)
def test_batches_are_the_same_for_any_start_and_number_of_hosts(
    length, shard_bytes, record_tokens, seq_len, stride, seed, rows_per_host, host_count, start_step
):
    with tempfile.TemporaryDirectory() as folder:
        corpus = make(
            Path(folder),
            text(length),
            shard_bytes=shard_bytes,
            record_tokens=record_tokens,
            splits=TRAIN,
        )
        expected = expected_windows(corpus, seq_len=seq_len, stride=stride)
        options = {"seq_len": seq_len, "stride": stride, "seed": seed}
        options["batch_size"] = batch_size = rows_per_host * host_count
        if not expected:
            with pytest.raises(UserError, match="has no window"):
                corpus.windows("train", **options)
            return
        order = make_order(
            Windows(seq_len=seq_len, stride=stride), len(expected), itemsize=1, seed=seed
        )
        positions = start_step * batch_size + np.arange(3 * batch_size)
        wanted = np.array([expected[i] for i in order.windows(positions)])
        wanted = wanted.reshape(3, host_count, rows_per_host, seq_len + 1)
        for host in range(host_count):
            batches = take(
                corpus, 3, **options, start_step=start_step, host_index=host, host_count=host_count
            )
            assert len(batches) == 3
            for step, (inputs, targets) in enumerate(batches):
                np.testing.assert_array_equal(inputs, wanted[step, host, :, :-1])
                np.testing.assert_array_equal(targets, wanted[step, host, :, 1:])


def test_start_step_drops_batches_over_the_ends_of_epochs(corpora):
    options = {"seq_len": 9, "stride": 4, "batch_size": 12, "seed": 1}
    for corpus in corpora:
        straight = take(corpus, 80, **options)
        for start_step in (1, 29, 70):
            resumed = take(corpus, 80 - start_step, **options, start_step=start_step)
            assert list(rows(resumed)) == list(rows(straight[start_step:]))


def test_targets_last_is_the_token_after_the_window(corpora):
    options = {"seq_len": 9, "stride": 3, "batch_size": 6}
    for corpus in corpora[:2]:
        sequences = take(corpus, 5, **options)
        lasts = take(corpus, 5, **options, targets="last")
        for (inputs, targets), (same_inputs, last) in zip(sequences, lasts, strict=True):
            np.testing.assert_array_equal(inputs, same_inputs)
            np.testing.assert_array_equal(targets[:, -1], last)


@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_shapes_are_static_and_the_graph_is_pure(corpora, targets):
    dataset = corpora[0].windows("train", seq_len=5, batch_size=8, host_count=2, targets=targets)
    inputs, outputs = dataset.element_spec
    assert inputs == tf.TensorSpec([4, 5], tf.int32)
    assert outputs == tf.TensorSpec([4, 5] if targets == "sequence" else [4], tf.int32)
    graph = dataset._as_serialized_graph().numpy()
    assert b"PyFunc" not in graph
    assert b"TFRecordDatasetV2" in graph


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's read counters")
def test_a_host_reads_its_part_of_the_bytes(tmp_path):
    corpus = make(tmp_path, np.random.default_rng(0).bytes(40 * 2**20), splits=TRAIN)
    num_bytes = sum(shard.num_bytes for shard in corpus.splits["train"].shards)
    num_batches = corpus.num_windows("train", seq_len=64) // 64

    def bytes_read():
        time.sleep(0.5)  # for what is being read ahead
        counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(counters["rchar"])

    def share(host_count):
        batches = iter(corpus.windows("train", seq_len=64, batch_size=64, host_count=host_count))
        marks = []
        for _ in range(2):  # the first epoch brings reading ahead to where it will stay
            for _ in range(num_batches):
                next(batches)
            marks.append(bytes_read())
        return (marks[1] - marks[0]) / num_bytes

    assert 0.95 < share(1) < 1.20
    assert 0.24 < share(4) < 0.30


def test_it_feeds_a_plain_keras_fit(corpora):
    import keras

    corpus = corpora[3]
    model = keras.Sequential(
        [
            keras.layers.Embedding(corpus.vocabulary.size, 4),
            keras.layers.Dense(corpus.vocabulary.size),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss)
    dataset = corpus.windows("train", seq_len=10, batch_size=16)
    history = model.fit(dataset, steps_per_epoch=20, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "test"}, UserError, r"no split 'test' in .*; it has \['train'\]"),
        ({"seq_len": 0}, OptionError, "`seq_len` must be at least 1, not 0"),
        ({"stride": 0}, OptionError, "`stride` must be at least 1, not 0"),
        ({"batch_size": 0}, OptionError, "`batch_size` must be at least 1, not 0"),
        ({"start_step": -1}, OptionError, "`start_step` must be at least 0, not -1"),
        ({"host_count": 3}, OptionError, "multiple of `host_count`.*8 rows, 3 hosts"),
        ({"host_index": 1}, OptionError, "`host_index` must be in .* 1 of 1"),
        ({"targets": "next"}, OptionError, "`targets` must be sequence or last, not 'next'"),
        ({"shuffle_bytes": 1000}, OptionError, "`shuffle_bytes` 1000 is too small"),
        (
            {"seq_len": 5000},
            UserError,
            r"has no window of `seq_len` 5000: a window needs 5001 tokens in one shard, and the"
            r" longest shard has 1501",
        ),
    ],
)
def test_bad_arguments_are_named(corpora, options, error, message):
    arguments = {"split": "train", "seq_len": 10, "batch_size": 8, **options}
    with pytest.raises(error, match=message):
        corpora[3].windows(arguments.pop("split"), **arguments)


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
def test_a_damaged_shard_is_named_with_its_records(tmp_path, damage, bad_records, seed):
    corpus = make(tmp_path, text(5000), record_tokens=100, splits=TRAIN)
    (shard,) = tmp_path.glob("corpus/*.tfrecord*")
    if damage:
        shard.write_bytes(damage(shard.read_bytes()))
    else:
        shard.unlink()
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        take(corpus, 60, seq_len=10, batch_size=10, seed=seed)
    message = (
        rf"{shard}: one of the records (\d+) to (\d+) is missing or damaged; .*textreel repair"
    )
    first, last = map(int, re.search(message, raised.value.message).groups())
    assert set(range(first, last + 1)) & set(bad_records)
