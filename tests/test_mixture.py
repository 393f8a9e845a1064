"""Mixtures: exact shares at every prefix, each corpus in its own order."""

from fractions import Fraction

import numpy as np
import pytest
from corpora import make, text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import OptionError, UserError, mix
from pipeline.reading.mixture import choose

TRAIN = {"train": 1.0}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
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
def test_every_prefix_is_exact(weights):
    choices = choose(weights)
    assert len(choices) == sum(weights)
    counts = [0] * len(weights)
    for place, index in enumerate(choices, 1):
        counts[index] += 1
        for count, weight in zip(counts, weights, strict=True):
            assert abs(count - Fraction(place * weight, sum(weights))) < 1
    assert counts == weights


def expected(corpora, weights, *, batch_size, num_batches, **options):
    """Window by window: each corpus's own order, taken as the choices say."""
    choices = choose(weights)
    streams = [
        iter(
            corpus.windows(
                "train",
                batch_size=1,
                shuffle_bytes=2**22 // len(corpora),
                **options,
            ).as_numpy_iterator()
        )
        for corpus in corpora
    ]
    rows = [next(streams[choices[p % len(choices)]]) for p in range(num_batches * batch_size)]
    for k in range(num_batches):
        batch = rows[k * batch_size : (k + 1) * batch_size]
        yield [np.concatenate(part).tolist() for part in zip(*batch, strict=True)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    rows=st.integers(1, 4),
    hosts=st.integers(1, 3),
    start_step=st.integers(0, 20),
    targets=st.sampled_from(["sequence", "last"]),
)
def test_batches_for_any_hosts_and_start(corpora, weights, rows, hosts, start_step, targets):
    divisor = int(np.gcd.reduce(weights))
    chosen = corpora[: len(weights)]
    options = {"seq_len": 9, "stride": 4, "seed": 5, "targets": targets}
    parts = [
        list(
            mix(
                list(zip(chosen, weights, strict=True)),
                "train",
                batch_size=rows * hosts,
                start_step=start_step,
                host_index=host,
                host_count=hosts,
                shuffle_bytes=2**22,
                **options,
            )
            .take(3)
            .as_numpy_iterator()
        )
        for host in range(hosts)
    ]
    slow = expected(
        chosen,
        [weight // divisor for weight in weights],
        batch_size=rows * hosts,
        num_batches=start_step + 3,
        **options,
    )
    for step, batch in enumerate(list(slow)[start_step:]):
        ours = [np.concatenate([part[step][i] for part in parts]).tolist() for i in range(2)]
        assert ours == batch


def test_static_shapes(corpora):
    dataset = mix([(corpora[0], 0.25), (corpora[1], 0.75)], "train", seq_len=9, batch_size=6)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(6, 9), (6, 9)]


def test_what_cannot_be_is_refused(corpora, tmp_path):
    def call(*weights, start_step=0):
        pairs = list(zip(corpora, weights, strict=False))
        return mix(pairs, "train", seq_len=9, batch_size=6, start_step=start_step)

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
