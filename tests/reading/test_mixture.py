"""Mixtures: exact shares at every prefix, each corpus in its own order."""

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TRAIN, make, text, window_array
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline import Corpus, OptionError, UserError, mix, mix_batches
from pipeline.reading.batches import Batches
from pipeline.reading.mixture import choose


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    return [
        make(
            tmp_path_factory.mktemp("corpus"),
            text(length, seed=length),
            shard_bytes=200,
            record_tokens=7,
            splits=TRAIN,
        )
        for length in (500, 700, 900)
    ]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_every_prefix_is_exact(weights: list[int]) -> None:
    choices = choose(weights)
    assert len(choices) == sum(weights)
    counts = [0] * len(weights)
    for place, index in enumerate(choices, 1):
        counts[index] += 1
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - Fraction(place * weight, sum(weights))) < 1
    assert counts == weights


def expected(
    corpora: list[Corpus],
    weights: list[int],
    *,
    seq_len: int,
    stride: int,
    seed: int,
    batch_size: int,
    num_batches: int,
) -> np.ndarray:
    """Window by window: each corpus's own order, taken as the choices say."""
    choices = choose(weights)
    chosen = choices[np.arange(num_batches * batch_size) % len(choices)]
    rows = np.empty([len(chosen), seq_len + 1], np.int64)
    asked = Batches(seq_len=seq_len, stride=stride, seed=seed, shuffle_bytes=2**22 // len(corpora))
    for index, corpus in enumerate(corpora):
        windows = window_array(corpus, "train", seq_len=seq_len, stride=stride)
        own = np.flatnonzero(chosen == index)
        rows[own] = windows[corpus.order("train", asked).windows(range(len(own)))]
    return rows.reshape(num_batches, batch_size, seq_len + 1)


asked_for = given(
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    rows=st.integers(1, 4),
    hosts=st.integers(1, 3),
    host=st.integers(0, 2),
    start_step=st.integers(0, 20),
    targets=st.sampled_from(["sequence", "last"]),
)


@settings(max_examples=1, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@example(weights=[3, 1, 2], rows=2, hosts=3, host=1, start_step=7, targets="sequence")
@asked_for
def test_batches_for_any_hosts_and_start(corpora: list[Corpus], **asked: Any) -> None:
    check_batches(corpora, **asked)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@asked_for
def test_many_batches_for_any_hosts_and_start(corpora: list[Corpus], **asked: Any) -> None:
    check_batches(corpora, **asked)


def check_batches(
    corpora: list[Corpus],
    *,
    weights: list[int],
    rows: int,
    hosts: int,
    host: int,
    start_step: int,
    targets: str,
) -> None:
    divisor = int(np.gcd.reduce(weights))
    chosen = corpora[: len(weights)]
    options: dict[str, Any] = {"seq_len": 9, "stride": 4, "seed": 5}
    host %= hosts
    asked: dict[str, Any] = {
        "batch_size": rows * hosts,
        "start_step": start_step,
        "host_index": host,
        "host_count": hosts,
        "shuffle_bytes": 2**22,
        "targets": targets,
        **options,
    }
    pairs = list(zip(chosen, weights, strict=True))
    dataset, arrays = (ask(pairs, "train", **asked) for ask in (mix, mix_batches))
    windows = expected(
        chosen,
        [weight // divisor for weight in weights],
        batch_size=rows * hosts,
        num_batches=start_step + 3,
        **options,
    )
    own = Batches(seq_len=1, batch_size=rows * hosts, host_index=host, host_count=hosts).places
    batches = list(dataset.take(3).as_numpy_iterator())
    assert len(batches) == 3
    for step, (inputs, outputs) in enumerate(batches, start_step):
        batch = windows[step, own]
        np.testing.assert_array_equal(inputs, batch[:, :-1])
        wanted = batch[:, 1:] if targets == "sequence" else batch[:, -1]
        np.testing.assert_array_equal(outputs, wanted)
    check_arrays(arrays, dataset, num_batches=150)  # several epochs of each


def check_arrays(arrays: Any, dataset: Any, *, num_batches: int) -> None:
    """The same batches without TensorFlow."""
    batches = zip(
        itertools.islice(arrays, num_batches),
        dataset.take(num_batches).as_numpy_iterator(),
        strict=True,
    )
    for ours, theirs in batches:
        for one, other in zip(ours, theirs, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_static_shapes(corpora: list[Corpus]) -> None:
    dataset = mix([(corpora[0], 0.25), (corpora[1], 0.75)], "train", seq_len=9, batch_size=6)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(6, 9), (6, 9)]


def test_what_cannot_be_is_refused(corpora: list[Corpus], tmp_path: Path) -> None:
    def call(*weights: float, start_step: int = 0) -> Any:
        pairs = list(zip(corpora, weights, strict=False))
        return mix(pairs, "train", seq_len=9, batch_size=6, start_step=start_step)

    with pytest.raises(OptionError, match="`weights` must be above 0"):
        mix_batches([(corpora[0], 0)], "train", seq_len=9, batch_size=6)
    for weights in ([0.0, 1.0], [-1.0, 2.0], [float("nan")], [0.0, 0.0]):
        with pytest.raises(OptionError, match="`weights` must be above 0"):
            call(*weights)
    with pytest.raises(OptionError, match="round them"):
        call(0.123456, 0.876544)
    with pytest.raises(OptionError, match="`corpora` must name at least one"):
        call()
    with pytest.raises(OptionError, match="`start_step`"):
        call(1.0, start_step=-1)
    other = make(tmp_path, text(400), vocabulary="char", splits=TRAIN)
    with pytest.raises(OptionError, match=f"that of {other.directory} is not that of"):
        mix([(corpora[0], 1), (other, 1)], "train", seq_len=9, batch_size=6)
    with pytest.raises(UserError, match="no split 'test'"):
        mix([(corpora[0], 1)], "test", seq_len=9, batch_size=6)
