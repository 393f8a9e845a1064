"""Windows in batches: against the reference, for any start and any hosts."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from corpora import TRAIN, make, sliced_windows, text, window_array
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import Corpus, OptionError, UserError, reference_windows
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import Windows, make_order

Batch = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
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


def reference_windows_of(corpus: Corpus, split: str, **options: Any) -> list[tuple[int, ...]]:
    return [tuple(w) for w in reference_windows(corpus, split, **options).as_numpy_iterator()]


def take(corpus: Corpus, num_batches: int, **options: Any) -> list[Batch]:
    dataset = corpus.windows("train", **options).take(num_batches)
    return [(np.array(x), np.array(y)) for x, y in dataset.as_numpy_iterator()]


def rows(batches: Iterable[Batch]) -> Iterator[tuple[int, ...]]:
    """Windows of batches with targets="sequence"."""
    for inputs, targets in batches:
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        yield from (tuple(w) for w in np.concatenate([inputs, targets[:, -1:]], axis=1))


SHAPES = [(5, 1), (8, 3), (6, None), (4, 9), (40, 64)]
SEEDS = [None, 0, 3]


def check_epochs(
    corpus: Corpus,
    expected: list[tuple[int, ...]],
    seq_len: int,
    stride: int | None,
    seed: int | None,
) -> None:
    """Two epochs, in batches, are the expected windows twice."""
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


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shuffled_epoch_is_the_reference(
    corpora: list[Corpus], shape: tuple[int, int | None]
) -> None:
    index, (seq_len, stride) = SHAPES.index(shape), shape
    corpus = corpora[(index + 1) % len(corpora)]
    expected = sliced_windows(corpus, "train", seq_len=seq_len, stride=stride)
    check_epochs(corpus, expected, seq_len, stride, SEEDS[1 + index % 2])


@pytest.mark.parametrize("shape", SHAPES[1:4])
def test_an_epoch_in_the_order_of_the_text_is_the_reference(
    corpora: list[Corpus], shape: tuple[int, int | None]
) -> None:
    corpus, (seq_len, stride) = corpora[SHAPES.index(shape)], shape
    expected = reference_windows_of(corpus, "train", seq_len=seq_len, stride=stride)
    check_epochs(corpus, expected, seq_len, stride, None)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_an_epoch_of_every_corpus_is_the_reference(corpora: list[Corpus]) -> None:
    for corpus, (seq_len, stride) in itertools.product(corpora, SHAPES):
        expected = reference_windows_of(corpus, "train", seq_len=seq_len, stride=stride)
        for seed in SEEDS:
            check_epochs(corpus, expected, seq_len, stride, seed)


def check_order(corpus: Corpus, *, seq_len: int, stride: int, seed: int) -> None:
    windows = Windows(seq_len=seq_len, stride=stride)
    expected = sliced_windows(corpus, "train", seq_len=seq_len, stride=stride)
    itemsize = np.dtype(corpus.manifest.dtype).itemsize
    order = make_order(windows, len(expected), itemsize=itemsize, seed=seed)
    batches = take(corpus, 40, seq_len=seq_len, stride=stride, batch_size=13, seed=seed)
    positions = order.windows(np.arange(40 * 13))
    assert list(rows(batches)) == [expected[window] for window in positions]


def test_the_graph_is_the_numpy_order(corpora: list[Corpus]) -> None:
    check_order(corpora[2], seq_len=5, stride=1, seed=0)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_the_graph_of_every_corpus_is_the_numpy_order(corpora: list[Corpus]) -> None:
    for corpus, (seq_len, stride, seed) in itertools.product(corpora, [(5, 1, 0), (8, 3, 2)]):
        check_order(corpus, seq_len=seq_len, stride=stride, seed=seed)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Large enough for several full groups at the smallest `shuffle_bytes`."""
    return make(
        tmp_path_factory.mktemp("large"),
        text(3_000_000, seed=1),
        shard_bytes=700_000,
        record_tokens=5000,
        splits=TRAIN,
    )


@pytest.mark.parametrize("host_count", [2, pytest.param(1, marks=pytest.mark.campaign)])
def test_full_groups_across_shards(large: Corpus, host_count: int) -> None:
    options = {"seq_len": 1000, "stride": 501, "shuffle_bytes": 2**20, "batch_size": 32, "seed": 5}
    expected = window_array(large, "train", seq_len=1000, stride=501)
    order = make_order(
        Windows(seq_len=1000, stride=501), len(expected), itemsize=1, seed=5, shuffle_bytes=2**20
    )
    assert order.num_groups > 10
    num_batches = len(expected) // 32 + 2
    hosts = [
        take(large, num_batches, **options, host_index=index, host_count=host_count)
        for index in range(host_count)
    ]
    positions = order.windows(np.arange(num_batches * 32)).reshape(num_batches, 32)
    for index, batches in enumerate(hosts):
        places = Batches(seq_len=1, batch_size=32, host_index=index, host_count=host_count).places
        assert len(batches) == num_batches
        for (inputs, targets), windows in zip(batches, positions[:, places], strict=True):
            np.testing.assert_array_equal(inputs, expected[windows, :-1])
            np.testing.assert_array_equal(targets, expected[windows, 1:])


asked_for = given(
    length=st.integers(30, 600),
    shard_bytes=st.integers(64, 400),
    record_tokens=st.integers(1, 50),
    seq_len=st.integers(1, 25),
    stride=st.integers(1, 30),
    seed=st.none() | st.integers(0, 9),
    rows_per_host=st.integers(1, 6),
    host_count=st.integers(1, 4),
    host=st.integers(0, 3),
    start_step=st.integers(0, 200),
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@asked_for
def test_batches_are_the_same_for_any_start_and_number_of_hosts(**asked: Any) -> None:
    check_batches(**asked)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@asked_for
def test_batches_of_many_corpora_are_the_same(**asked: Any) -> None:
    check_batches(**asked)


def check_batches(
    *,
    length: int,
    shard_bytes: int,
    record_tokens: int,
    seq_len: int,
    stride: int,
    seed: int | None,
    rows_per_host: int,
    host_count: int,
    host: int,
    start_step: int,
) -> None:
    """The batches of a host are those of the order, from any step on."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = make(
            Path(folder),
            text(length),
            shard_bytes=shard_bytes,
            record_tokens=record_tokens,
            splits=TRAIN,
        )
        expected = sliced_windows(corpus, "train", seq_len=seq_len, stride=stride)
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
        wanted = wanted.reshape(3, batch_size, seq_len + 1)
        host %= host_count
        places = Batches(
            seq_len=1, batch_size=batch_size, seed=seed, host_index=host, host_count=host_count
        ).places
        batches = take(
            corpus, 3, **options, start_step=start_step, host_index=host, host_count=host_count
        )
        assert len(batches) == 3
        for step, (inputs, targets) in enumerate(batches):
            np.testing.assert_array_equal(inputs, wanted[step, places, :-1])
            np.testing.assert_array_equal(targets, wanted[step, places, 1:])


def test_start_step_drops_batches_over_the_ends_of_epochs(corpora: list[Corpus]) -> None:
    options = {"seq_len": 9, "stride": 4, "batch_size": 12, "seed": 1}
    straight = take(corpora[2], 80, **options)
    resumed = take(corpora[2], 10, **options, start_step=70)
    assert corpora[2].num_windows("train", seq_len=9, stride=4) < 70 * 12
    assert list(rows(resumed)) == list(rows(straight[70:]))


@pytest.mark.parametrize(("epochs", "batch_size"), [(1, 12), (3, 12), (2, 1)])
def test_epochs_are_the_reference_so_often_up_to_the_last_full_batch(
    corpora: list[Corpus], epochs: int, batch_size: int
) -> None:
    options = {"seq_len": 9, "stride": 4, "batch_size": batch_size, "seed": None, "epochs": epochs}
    expected = reference_windows_of(corpora[2], "train", seq_len=9, stride=4) * epochs
    num_batches = len(expected) // batch_size
    assert len(expected) % 12
    for start_step in (0, num_batches - 2, num_batches):
        dataset = corpora[2].windows("train", **options, start_step=start_step)
        assert len(dataset) == num_batches - start_step
        found = list(rows(dataset.as_numpy_iterator()))
        assert found == expected[start_step * batch_size : num_batches * batch_size]


def test_shuffled_epochs_begin_as_the_endless_order_and_end_on_all_hosts_at_once(
    corpora: list[Corpus],
) -> None:
    options = {"seq_len": 9, "stride": 4, "batch_size": 10, "seed": 3, "epochs": 2}
    num_batches = 2 * corpora[2].num_windows("train", seq_len=9, stride=4) // 10
    hosts = [
        list(corpora[2].windows("train", **options, host_index=host, host_count=2))
        for host in range(2)
    ]
    assert [len(batches) for batches in hosts] == [num_batches] * 2
    endless = take(corpora[2], num_batches, **{**options, "epochs": None})
    for (inputs, _), *parts in zip(endless, *hosts, strict=True):
        for host, (own, _) in enumerate(parts):
            rows_of = Batches(seq_len=1, batch_size=10, host_index=host, host_count=2).places
            np.testing.assert_array_equal(own, inputs[rows_of])


def test_targets_last_is_the_token_after_the_window(corpora: list[Corpus]) -> None:
    options = {"seq_len": 9, "stride": 3, "batch_size": 6}
    sequences = take(corpora[1], 5, **options)
    lasts = take(corpora[1], 5, **options, targets="last")
    for (inputs, targets), (same_inputs, last) in zip(sequences, lasts, strict=True):
        np.testing.assert_array_equal(inputs, same_inputs)
        np.testing.assert_array_equal(targets[:, -1], last)


@pytest.mark.parametrize("targets", ["sequence", "last"])
def test_shapes_are_static_and_the_graph_is_pure(corpora: list[Corpus], targets: str) -> None:
    dataset = corpora[0].windows("train", seq_len=5, batch_size=8, host_count=2, targets=targets)
    inputs, outputs = dataset.element_spec
    assert inputs == tf.TensorSpec([4, 5], tf.int32)
    assert outputs == tf.TensorSpec([4, 5] if targets == "sequence" else [4], tf.int32)
    graph = dataset._as_serialized_graph().numpy()
    assert b"PyFunc" not in graph
    assert b"TFRecordDatasetV2" in graph


def test_the_graph_is_small(corpora: list[Corpus]) -> None:
    # Building it is most of what the first batch waits for.
    dataset = corpora[0].windows("train", seq_len=4, batch_size=2)
    variant = tf.data.experimental.to_variant(dataset)
    policy = tf.data.experimental.ExternalStatePolicy.IGNORE.value
    content = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=policy)
    graph = tf.compat.v1.GraphDef.FromString(content.numpy())
    functions = graph.library.function
    assert sum(len(function.node_def) for function in functions) <= 870


def test_it_feeds_a_plain_keras_fit(corpora: list[Corpus]) -> None:
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

    # An epoch of its own: the progress has a total, and the end comes by itself.
    dataset = corpus.windows("train", seq_len=10, batch_size=16, epochs=2)
    fitted = model.fit(dataset, verbose=0)
    assert fitted.params["steps"] == len(dataset) > 1
    assert model.optimizer.iterations == 40 + len(dataset)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"split": "test"}, UserError, r"no split 'test' in .*; it has \['train'\]"),
        ({"seq_len": 0}, OptionError, "`seq_len` must be an integer of at least 1, got 0"),
        ({"stride": 0}, OptionError, "`stride` must be an integer of at least 1, got 0"),
        ({"batch_size": 0}, OptionError, "`batch_size` must be an integer of at least 1, got 0"),
        ({"start_step": -1}, OptionError, "`start_step` must be an integer of at least 0, got -1"),
        ({"epochs": 0}, OptionError, "`epochs` must be an integer of at least 1, got 0"),
        (
            {"epochs": 1, "batch_size": 151},
            OptionError,
            "`batch_size` must be at most the 150 windows of all `epochs`, .*, got 151",
        ),
        (
            {"epochs": 2, "start_step": 38},
            OptionError,
            "`start_step` must be at most the 37 batches of all `epochs`, got 38",
        ),
        ({"host_count": 3}, OptionError, "multiple of `host_count`.*8 rows for 3 hosts"),
        ({"host_index": 1}, OptionError, "`host_index` must be in .* 1 of 1"),
        ({"targets": "next"}, OptionError, "`targets` must be sequence or last, got 'next'"),
        ({"shuffle_bytes": 1000}, OptionError, "`shuffle_bytes` must hold 4 spans of .*, got 1000"),
        (
            {"seq_len": 5000},
            UserError,
            r"has no window of `seq_len` 5000: a window needs 5001 tokens in one shard, and the"
            r" longest shard has 1,501",
        ),
    ],
)
def test_bad_arguments_are_named(
    corpora: list[Corpus], options: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"split": "train", "seq_len": 10, "batch_size": 8, **options}
    with pytest.raises(error, match=message):
        corpora[3].windows(arguments.pop("split"), **arguments)


def test_a_data_service_serves_it(tmp_path: Path) -> None:
    def batches(dataset: Iterable[Any]) -> list[tuple[tuple[int, ...], ...]]:
        return [tuple(map(tuple, np.concatenate(batch, axis=1))) for batch in dataset]

    corpus = make(tmp_path, text(600), shard_bytes=200, record_tokens=7, splits=TRAIN)
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    workers = [
        service.WorkerServer(service.WorkerConfig(dispatcher_address=address)) for _ in range(2)
    ]
    dataset = corpus.windows("train", seq_len=9, stride=2, batch_size=4).take(25)
    straight = batches(dataset.as_numpy_iterator())
    served = dataset.apply(
        service.distribute(processing_mode=service.ShardingPolicy.OFF, service=dispatcher.target)
    )
    # Each worker gives every batch.
    assert Counter(batches(served.as_numpy_iterator())) == Counter(straight * len(workers))
    del workers
