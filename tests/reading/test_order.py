"""The order: a permutation an epoch, fixed for all time."""

import dataclasses
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reading.order import NUMPY, Order

orders = st.builds(
    lambda num_windows, group_spans, span_windows, seed: Order(
        num_windows=num_windows,
        group_spans=1 if seed is None else group_spans,
        span_windows=span_windows,
        seed=seed,
    ),
    num_windows=st.integers(1, 700),
    group_spans=st.integers(1, 70) | st.integers(1, 600),
    span_windows=st.integers(1, 90),
    seed=st.none() | st.integers(-(2**70), 2**70),
)


@settings(max_examples=300)
@given(orders, st.integers(0, 3))
def test_every_window_once_an_epoch(order: Order, epoch: int) -> None:
    first = epoch * order.num_windows
    windows = order.windows(np.arange(first, first + order.num_windows))
    assert sorted(windows.tolist()) == list(range(order.num_windows))


@given(orders, st.lists(st.integers(0, 2000), min_size=1, max_size=20))
def test_a_position_is_a_position_however_it_is_asked_for(
    order: Order, positions: list[int]
) -> None:
    together = order.windows(positions)
    assert [order.windows([position])[0] for position in positions] == together.tolist()


@given(orders, st.integers(0, 2000))
def test_the_group_of_a_position_holds_it(order: Order, position: int) -> None:
    index = order.group_at(position)
    group = order.group(index)
    assert group.start <= position < group.start + group.num_windows
    assert order.group(index + 1).start == group.start + group.num_windows
    assert group.span_windows.sum() == group.num_windows


@given(st.integers(1, 500), st.integers(1, 50))
def test_without_a_seed_it_is_the_order_of_the_text(num_windows: int, span_windows: int) -> None:
    order = Order(num_windows=num_windows, group_spans=1, span_windows=span_windows, seed=None)
    positions = np.arange(2 * num_windows + 3)
    np.testing.assert_array_equal(order.windows(positions), positions % num_windows)


def test_the_order_is_fixed_for_all_time() -> None:
    # Runs resume years later: these numbers may never change.
    order = Order(num_windows=1000, group_spans=20, span_windows=16, seed=7)
    assert order.windows(range(8)).tolist() == EXPECTED[0]
    assert order.windows(range(1000, 1008)).tolist() == EXPECTED[1]
    large = Order(num_windows=2**50, group_spans=2048, span_windows=40_000, seed=7)
    assert large.windows([0, 1, 2**49, 2**50 + 5]).tolist() == EXPECTED[2]


EXPECTED = [
    [979, 744, 84, 591, 824, 960, 936, 911],
    [424, 2, 602, 239, 887, 402, 724, 46],
    [338075266423261, 992675687449343, 253552859077456, 947247395851885],
]


@given(orders, st.integers(0, 3))
def test_a_stripe_reads_its_own_spans_and_rounds_take_one_window_of_each(
    order: Order, number: int
) -> None:
    group = order.group(number)
    positions = group.start + np.arange(group.num_windows)
    windows = order.locate(group, positions - group.start)
    columns = group.rows + 1
    for stripe in range(order.stripes):
        own = windows[stripe :: order.stripes]
        spans = slice(stripe * columns, (stripe + 1) * columns)
        held = [
            start + np.arange(size)
            for start, size in zip(
                group.first_windows[spans], group.span_windows[spans], strict=True
            )
        ]
        assert sorted(own.tolist()) == sorted(np.concatenate(held).tolist())
        full = [window for window in own if window not in set(held[-1].tolist())]
        for first in range(0, len(full), max(1, group.rows)):
            one_round = np.array(full[first : first + group.rows])
            number_of_span = [
                next(i for i, windows in enumerate(held) if window in windows)
                for window in one_round
            ]
            assert sorted(number_of_span) == list(range(group.rows))


def test_short_spans_are_spread_over_all_groups_and_evenly_in_each() -> None:
    """Without that, the end of an epoch, or of a group, would be one stretch of text."""
    order = Order(
        num_windows=192 * 20 * 16 + 192 * 19, group_spans=192 * 8, span_windows=20, seed=3
    )
    assert order.num_groups == 3
    for number in range(3):
        group = order.group(number)
        windows = order.locate(group, np.arange(group.num_windows))
        starts = group.first_windows[group.rows :: group.rows + 1]
        is_short = (windows >= starts.min()) & (windows < starts.min() + 192 * 19 // 3 + 192)
        assert is_short.sum() >= 192 * 6
        share = is_short[: len(is_short) // 1536 * 1536].reshape(-1, 1536).mean(axis=1)
        assert share.min() / is_short.mean() > 0.7
        assert share.max() / is_short.mean() < 1.3


@pytest.mark.parametrize("num_windows", [3, 4, 5])
def test_a_short_text_has_every_order_as_often(num_windows: int) -> None:
    """The chi-squared statistic, of 2,400 seeds, is below its 99.9% quantile."""
    counts = Counter(
        tuple(
            Order(num_windows=num_windows, group_spans=2048, span_windows=9, seed=seed).windows(
                range(num_windows)
            )
        )
        for seed in range(2400)
    )
    expected = 2400 / math.factorial(num_windows)
    assert len(counts) == math.factorial(num_windows)
    statistic = sum((count - expected) ** 2 / expected for count in counts.values())
    assert statistic < {3: 20.5, 4: 49.7, 5: 172.4}[num_windows]


@pytest.mark.parametrize("num_windows", [17, 100, 1000, 20_000])
@pytest.mark.parametrize("group_spans", [1, 16, 2048])
def test_no_stretch_of_the_text_comes_in_its_order(num_windows: int, group_spans: int) -> None:
    """Of a perfect shuffle, more than six in a row are rarer than one in 10,000 orders."""
    for seed in range(5):
        order = Order(num_windows=num_windows, group_spans=group_spans, span_windows=500, seed=seed)
        steps = np.diff(order.windows(np.arange(num_windows)))
        ends = np.flatnonzero(np.concatenate([[True], steps != 1, [True]]))
        assert np.diff(ends).max() <= 6


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(abs(np.corrcoef(first, second)[0, 1]))


def test_epochs_seeds_and_neighbours_are_uncorrelated() -> None:
    # 2,048 spans: chance alone gives 0.022; 5 times that would be a defect.
    num_windows = 2048 * 50

    def epoch(seed: int, number: int) -> np.ndarray:
        order = Order(num_windows=num_windows, group_spans=256, span_windows=50, seed=seed)
        return order.windows(np.arange(num_windows) + number * num_windows)

    first = epoch(0, 0)
    for other in (epoch(0, 1), epoch(0, 2), epoch(1, 0), epoch(2**31, 0), epoch(2**62, 0)):
        if not np.array_equal(other, first):
            assert correlation(first, other) < 0.11
    assert not np.array_equal(first, epoch(1, 0))
    assert not np.array_equal(first, epoch(0, 1))
    for lag in (1, 2, 3, 7, 64):
        assert correlation(first[:-lag], first[lag:]) < 0.11


@pytest.mark.parametrize("seed", [1, 2**31, 2**31 + 1, -1])
def test_every_bit_of_the_seed_counts(seed: int) -> None:
    order = Order(num_windows=5000, group_spans=16, span_windows=50, seed=0)
    other = Order(num_windows=5000, group_spans=16, span_windows=50, seed=seed)
    assert not np.array_equal(order.windows(range(5000)), other.windows(range(5000)))


@given(
    num_windows=st.integers(2**40, 2**50),
    seed=st.integers(0, 2**62),
    epoch=st.integers(0, 1000),
    share=st.fractions(0, 1, max_denominator=1000),
)
@settings(max_examples=30, deadline=None)
def test_int64_is_exact_up_to_two_to_the_fiftieth(
    num_windows: int, seed: int, epoch: int, share: Fraction
) -> None:
    order = Order(num_windows=num_windows, group_spans=40, span_windows=50, seed=seed)
    index = order.group_at(epoch * num_windows + int(share * (num_windows - 1)))
    exact = dataclasses.replace(
        NUMPY,
        arange=lambda size: np.array([int(i) for i in range(int(size))], dtype=object),
        where=lambda condition, *values: np.where(
            np.asarray(condition, bool), *(np.asarray(value, object) for value in values)
        ),
        argsort=lambda values: np.argsort(values.astype(np.int64), kind="stable").astype(object),
        take=lambda values, index: np.take(values, np.asarray(index, np.int64), axis=0),
    )
    ours, theirs = order.group(np.int64(index)), order.group(int(index), exact)
    for name, value in theirs._asdict().items():
        assert np.array(getattr(ours, name)).tolist() == np.array(value).tolist(), name
    offsets = np.arange(int(ours.num_windows))[-1000:]
    exactly = order.locate(theirs, offsets.astype(object), exact)
    assert order.locate(ours, offsets).tolist() == exactly.tolist()
