"""Geometry against slow oracles."""

import itertools

import pytest

from pipeline import OptionError
from pipeline.reading.geometry import (
    SPAN_TOKENS,
    Windows,
    check_lanes,
    lane_block_steps,
    lane_starts,
    make_order,
    make_record_order,
)


def slow_windows(num_tokens: int, seq_len: int, stride: int) -> list[range]:
    """The windows of a shard, by slicing."""
    tokens = range(num_tokens)
    slices = [tokens[start : start + seq_len + 1] for start in range(0, num_tokens, stride)]
    return [window for window in slices if len(window) == seq_len + 1]


def test_windows_are_numbered_as_slices_are() -> None:
    sizes = (0, 1, 2, 5, 9, 12)
    for seq_len, stride in itertools.product(range(1, 12), range(1, 14)):
        windows = Windows(seq_len=seq_len, stride=stride)
        for shards in itertools.product(sizes, repeat=3):
            counts = [len(slow_windows(size, seq_len, stride)) for size in shards]
            expected = [0, *itertools.accumulate(counts)]
            assert windows.first_windows(shards).tolist() == expected
    assert Windows(seq_len=3, stride=2).first_windows([]).tolist() == [0]


def test_the_example_of_the_docstring() -> None:
    windows = Windows(seq_len=3, stride=2)
    assert windows.first_windows([9]).tolist() == [0, 3]
    assert slow_windows(9, 3, 2) == [range(4), range(2, 6), range(4, 8)]


def test_the_tiles_of_a_window_hold_it_and_no_fewer_would() -> None:
    for seq_len, stride in itertools.product(range(12), range(1, 14)):
        windows = Windows(seq_len=seq_len, stride=stride)
        assert windows.num_tokens == seq_len + 1
        assert windows.num_tiles * stride >= seq_len + 1 > (windows.num_tiles - 1) * stride


def test_counts_are_exact_beyond_32_bits() -> None:
    windows = Windows(seq_len=1, stride=1)
    assert windows.first_windows([2**40, 2**40]).tolist() == [0, 2**40 - 1, 2**41 - 2]


def test_a_group_fills_the_memory_of_the_shuffle_and_no_more() -> None:
    """Four copies of it: groups of equal size, none larger than the option says."""
    for seq_len, stride, itemsize, mebibytes in itertools.product(
        (1, 64, 1000, 5000), (1, 7, 64, 4000), (1, 2, 4), (2, 3, 8, 128)
    ):
        windows = Windows(seq_len=seq_len, stride=stride)
        order = make_order(
            windows, 10**12, itemsize=itemsize, seed=1, shuffle_bytes=mebibytes * 2**20
        )
        span_tokens = (order.span_windows - 1 + windows.num_tiles) * stride
        # A span is what one seek reads: 32 Ki tokens, if a window is no longer.
        assert span_tokens <= max(SPAN_TOKENS, windows.num_tiles * stride)
        assert span_tokens + stride > SPAN_TOKENS
        for index in (0, order.num_groups - 1):
            group_bytes = len(order.group(index).first_windows) * span_tokens * itemsize
            slack = order.stripes * 3 * span_tokens * itemsize
            assert 4 * (group_bytes - slack) <= mebibytes * 2**20 <= 4 * (group_bytes + slack)
        assert (order.num_windows, order.seed) == (10**12, 1)


def test_the_group_of_the_defaults_is_what_they_say() -> None:
    order = make_order(Windows(seq_len=64, stride=64), 10**9, itemsize=1, seed=0)
    assert (order.stripes, order.span_windows) == (192, 511)
    assert order.num_groups == -(-(10**9) // (1920 * 511))


def test_a_longer_span_makes_fewer_of_them() -> None:
    windows = Windows(seq_len=64, stride=64)
    order = make_order(windows, 10**9, itemsize=1, seed=0, span_tokens=2**20)
    assert (order.stripes, order.span_windows) == (8, 2**14 - 1)


def test_too_little_memory_for_a_span_is_refused() -> None:
    windows = Windows(seq_len=64, stride=64)
    with pytest.raises(
        OptionError, match="`shuffle_bytes` must hold 4 spans of 32768 bytes, got 7"
    ):
        make_order(windows, 100, itemsize=1, seed=0, shuffle_bytes=7)
    assert make_order(windows, 100, itemsize=1, seed=0, shuffle_bytes=4 * 32_768)
    with pytest.raises(OptionError):
        make_order(windows, 100, itemsize=1, seed=0, shuffle_bytes=4 * 32_768 - 1)


def test_without_a_seed_the_memory_does_not_matter() -> None:
    windows = Windows(seq_len=64, stride=64)
    order = make_order(windows, 1000, itemsize=2, seed=None, shuffle_bytes=0)
    assert order.windows(range(5)).tolist() == [0, 1, 2, 3, 4]
    assert order.seed is None


def test_lanes_begin_at_equal_distances() -> None:
    for num_tokens, num_lanes in itertools.product(range(1, 60), range(1, 20)):
        starts = lane_starts(num_lanes, num_tokens)
        assert (len(starts), starts[0], starts.dtype) == (num_lanes, 0, "int64")
        lengths = {stop - start for start, stop in itertools.pairwise([*starts, num_tokens])}
        assert max(lengths) - min(lengths) <= 1
    assert lane_starts(4096, 10**14)[-1] == 4095 * 10**14 // 4096


def test_a_host_reads_a_round_of_lanes_at_once_where_it_has_the_memory() -> None:
    sizes = {"num_lanes": 64, "host_count": 1, "seq_len": 64, "itemsize": 1}
    assert lane_block_steps(20_000, **sizes) == 5  # of 4,096 tokens
    assert lane_block_steps(20_480, **sizes) == 5
    assert lane_block_steps(20_481, **sizes) == 6
    assert lane_block_steps(20_000, **{**sizes, "host_count": 4}) == 5
    assert lane_block_steps(10**9, **sizes) == 2**17 // 64
    assert lane_block_steps(10**9, **{**sizes, "num_lanes": 1024, "itemsize": 2}) == 2**13 // 64
    assert lane_block_steps(10**9, **{**sizes, "num_lanes": 1024, "host_count": 4}) == 2**16 // 64
    assert lane_block_steps(70, **{**sizes, "num_lanes": 1}) == 1


def test_lanes_need_as_many_tokens_as_a_batch_holds() -> None:
    check_lanes(100, num_lanes=10, seq_len=10)
    with pytest.raises(OptionError, match="at most the 99 tokens of the split, got 10 lanes of 10"):
        check_lanes(99, num_lanes=10, seq_len=10)
    check_lanes(12, num_lanes=1, seq_len=10)
    with pytest.raises(OptionError, match="at most the 11 tokens of the split, got 1 lanes of 10"):
        check_lanes(11, num_lanes=1, seq_len=10)


def test_spans_of_records_have_so_many_bytes_in_the_mean() -> None:
    for mean, span_records in ((1, 32768), (100, 327), (32767, 1), (10**6, 1)):
        order = make_record_order(10**9, 10**9 * mean, seed=0)
        assert order.span_windows == span_records
        in_order = make_record_order(10**9, 10**9 * mean, seed=None)
        assert (in_order.span_windows, in_order.stripes) == (max(1, 2**20 // mean), 1)
    # A group is at most a quarter of the memory, and at least half of that.
    for shuffle_bytes in (10**6, 10**7, 10**8):
        order = make_record_order(
            10**8, 10**10, seed=0, shuffle_bytes=shuffle_bytes, span_bytes=1000
        )
        assert shuffle_bytes / 8 < int(order.group(0).num_windows) * 100 < shuffle_bytes / 4 * 1.01
    message = "`shuffle_bytes` must hold 4 spans of 200 bytes, got 799"
    with pytest.raises(OptionError, match=message):
        make_record_order(100, 20_000, seed=0, shuffle_bytes=799, span_bytes=1)
