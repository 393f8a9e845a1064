"""The order: a permutation an epoch, fixed for all time."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reading.order import NUMPY, Functions, Order

orders = st.builds(
    lambda num_windows, log_spans, span_windows, seed: Order(
        num_windows=num_windows,
        spans=1 if seed is None else 2**log_spans,
        span_windows=span_windows,
        seed=seed,
    ),
    num_windows=st.integers(1, 700),
    log_spans=st.integers(0, 6),
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
    assert group.start <= position < group.start + group.spans * group.span_windows
    assert order.group(index + 1).start == group.start + group.spans * group.span_windows


@given(st.integers(1, 500), st.integers(1, 50))
def test_without_a_seed_it_is_the_order_of_the_text(num_windows: int, span_windows: int) -> None:
    order = Order(num_windows=num_windows, spans=1, span_windows=span_windows, seed=None)
    positions = np.arange(2 * num_windows + 3)
    np.testing.assert_array_equal(order.windows(positions), positions % num_windows)


def test_the_order_is_fixed_for_all_time() -> None:
    # Runs resume years later: these numbers may never change.
    order = Order(num_windows=1000, spans=4, span_windows=16, seed=7)
    assert order.windows(range(8)).tolist() == EXPECTED[0]
    assert order.windows(range(1000, 1008)).tolist() == EXPECTED[1]
    large = Order(num_windows=2**50, spans=256, span_windows=40_000, seed=7)
    assert large.windows([0, 1, 2**49, 2**50 + 5]).tolist() == EXPECTED[2]


EXPECTED = [
    [400, 870, 817, 431, 407, 877, 808, 438],
    [32, 587, 842, 313, 27, 582, 837, 308],
    [273281315669635, 732221615209025, 469555308844621, 493496901839297],
]


def test_position_modulo_spans_is_the_span() -> None:
    order = Order(num_windows=64 * 40 * 3, spans=64, span_windows=40, seed=1)
    windows = order.windows(np.arange(64 * 40)).reshape(40, 64)
    for column in windows.T:  # 40 consecutive windows, on the circle of all
        assert len(set(np.sort(column)[1:] - np.sort(column)[:-1]) - {1}) <= 1
        assert np.ptp((column - column[0] + 100) % order.num_windows) == 39


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(abs(np.corrcoef(first, second)[0, 1]))


def test_epochs_seeds_and_neighbours_are_uncorrelated() -> None:
    # 2,048 spans: chance alone gives 0.022; 5 times that would be a defect.
    num_windows = 2048 * 50

    def epoch(seed: int, number: int) -> np.ndarray:
        order = Order(num_windows=num_windows, spans=256, span_windows=50, seed=seed)
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
    order = Order(num_windows=5000, spans=16, span_windows=50, seed=0)
    other = Order(num_windows=5000, spans=16, span_windows=50, seed=seed)
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
    order = Order(num_windows=num_windows, spans=8, span_windows=50, seed=seed)
    index = order.group_at(epoch * num_windows + int(share * (num_windows - 1)))
    exact = Functions(
        arange=lambda size: np.array([int(i) for i in range(size)], dtype=object),
        where=lambda condition, yes, no: yes if condition else no,
        argsort=NUMPY.argsort,
        repeat=NUMPY.repeat,
    )
    ours, theirs = order.group(np.int64(index)), order.group(int(index), exact)
    for name, value in theirs._asdict().items():
        assert np.array(getattr(ours, name)).tolist() == np.array(value).tolist(), name
