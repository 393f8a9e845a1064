"""Batches that are asked for: each rule, and what follows from it."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest

from pipeline import OptionError
from pipeline.reading.batches import Batches
from pipeline.reading.geometry import Windows

VALID = {"seq_len": 16, "batch_size": 8, "stride": 4, "seed": 3, "host_index": 1, "host_count": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seq_len": 0}, "`seq_len` must be an integer of at least 1, got 0"),
        ({"seq_len": True}, "`seq_len` must be an integer of at least 1, got True"),
        ({"seq_len": 1.0}, "`seq_len` must be an integer of at least 1, got 1.0"),
        ({"seq_len": "16"}, "`seq_len` must be an integer of at least 1, got '16'"),
        ({"seq_len": None}, "`seq_len` must be an integer of at least 1, got None"),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1, got 0"),
        ({"stride": 0}, "`stride` must be an integer of at least 1, got 0"),
        ({"stride": -1}, "`stride` must be an integer of at least 1, got -1"),
        ({"start_step": -1}, "`start_step` must be an integer of at least 0, got -1"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1, got 0"),
        ({"epochs": 0.5}, "`epochs` must be an integer of at least 1, got 0.5"),
        ({"shuffle_bytes": -1}, "`shuffle_bytes` must be an integer of at least 0, got -1"),
        ({"read_ahead": 0}, "`read_ahead` must be an integer of at least 1, got 0"),
        ({"host_count": 0}, "`host_count` must be an integer of at least 1, got 0"),
        ({"host_index": -1}, "`host_index` must be an integer of at least 0, got -1"),
        ({"host_index": 2}, "`host_index` must be in 0 … `host_count` - 1, got 2 of 2"),
        ({"batch_size": 7}, "`batch_size` must be a multiple of .*, got 7 rows for 2 hosts"),
    ],
)
def test_each_rule_is_named_with_what_broke_it(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Batches(**{**VALID, **changes})


def test_integers_of_numpy_are_integers() -> None:
    ours = Batches(**VALID, start_step=5, epochs=2, shuffle_bytes=2**40, read_ahead=3)
    for kind in (np.int64, np.uint8, np.int32):
        theirs = Batches(
            **{name: kind(value) for name, value in VALID.items()},
            start_step=kind(5),
            epochs=kind(2),
            shuffle_bytes=np.int64(2**40),
            read_ahead=kind(3),
        )
        assert theirs == ours
        kinds = {"targets": str, "across_documents": bool, "segments": bool}
        for name, value in dataclasses.asdict(theirs).items():
            assert type(value) is kinds.get(name, int), name


def test_a_seed_is_any_integer_or_none() -> None:
    for seed in (None, 0, -(2**70), 2**70, np.int64(7)):
        assert Batches(seq_len=1, seed=seed).seed == seed
    with pytest.raises(TypeError):
        Batches(seq_len=1, seed=0.5)


def test_the_stride_is_the_length_where_it_is_not_given() -> None:
    assert Batches(seq_len=16).windows == Windows(seq_len=16, stride=16)
    assert Batches(seq_len=16, stride=1).windows == Windows(seq_len=16, stride=1)


def test_hosts_share_the_rows_of_a_batch() -> None:
    for host_count, host_rows in itertools.product((1, 2, 3, 8), (1, 2, 5, 16, 32)):
        shares = []
        for host_index in range(host_count):
            batches = Batches(
                seq_len=1,
                batch_size=host_rows * host_count,
                host_index=host_index,
                host_count=host_count,
            )
            places = batches.places.tolist()
            assert places == sorted(places)
            assert len(places) == batches.host_rows == host_rows
            shares += places
        assert sorted(shares) == list(range(host_rows * host_count))


@pytest.mark.parametrize("batch_size", [48, 64, 96, 256])
@pytest.mark.parametrize("host_count", [2, 3, 4, 8])
def test_a_host_needs_few_stripes(batch_size: int, host_count: int) -> None:
    if batch_size % host_count:
        return
    for stripes, host_index in itertools.product((12, 24, 48, 96, 192), range(host_count)):
        batches = Batches(
            seq_len=1, batch_size=batch_size, host_index=host_index, host_count=host_count
        )
        period = math.gcd(batch_size, stripes)
        share = len(set((batches.places % period).tolist())) / period
        assert batches.residues(stripes).mean() == share
        assert share <= max(1.02 / host_count, math.ceil(period / host_count) / period)


def test_in_the_order_of_the_text_the_rows_of_a_host_stand_side_by_side() -> None:
    for host in range(2):
        batches = Batches(seq_len=1, batch_size=8, seed=None, host_index=host, host_count=2)
        assert batches.places.tolist() == list(range(4 * host, 4 * host + 4))


def test_epochs_end_with_their_last_full_batch() -> None:
    for num_windows, size, epochs in itertools.product(range(1, 8), range(1, 8), range(1, 4)):
        positions = list(range(epochs * num_windows))
        wanted = [positions[first : first + size] for first in range(0, len(positions), size)]
        num_full = sum(len(batch) == size for batch in wanted)
        for start_step in range(num_full + 1):
            batches = Batches(seq_len=1, batch_size=size, epochs=epochs, start_step=start_step)
            if num_full:
                assert batches.num_left(num_windows) == num_full - start_step
    assert Batches(seq_len=1, batch_size=8, start_step=9).num_left(1) is None


def test_epochs_without_a_batch_or_before_the_start_are_refused() -> None:
    with pytest.raises(OptionError, match=r"`batch_size` must be at most the 6 windows .*, got 7"):
        Batches(seq_len=1, batch_size=7, epochs=2).num_left(3)
    with pytest.raises(OptionError, match=r"`start_step` must be at most the 3 batches .*, got 4"):
        Batches(seq_len=1, batch_size=2, epochs=2, start_step=4).num_left(3)
