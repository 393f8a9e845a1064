"""Numbers for people: three digits of bytes, two units of time."""

import itertools

import pytest

from pipeline.sizes import count_text, size_text, time_text


@pytest.mark.parametrize(
    ("num_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.4, "999 B"),
        (999.5, "1 kB"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (1_234_567, "1.23 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (65_000_000, "65 MB"),
        (6.5e12, "6.5 TB"),
        (1e15, "1 PB"),
        (1e18, "1e+03 PB"),
    ],
)
def test_bytes(num_bytes: float, shown: str) -> None:
    assert size_text(num_bytes) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "0.012 s"),
        (7, "7 s"),
        (59.9, "60 s"),
        (60, "1 min"),
        (89, "1 min"),
        (91, "2 min"),
        (3599, "1 h 0 min"),
        (3725, "1 h 2 min"),
        (86_399, "1 d 0 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_seconds(seconds: float, shown: str) -> None:
    assert time_text(seconds) == shown


def test_no_size_is_shown_smaller_than_a_smaller_one() -> None:
    units = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "PB": 1e15}
    sizes = [10 ** (exponent / 50) for exponent in range(850)]
    shown = [size_text(size).split() for size in sizes]
    values = [float(number) * units[unit] for number, unit in shown]
    assert all(first <= second for first, second in itertools.pairwise(values))
    for size, value in zip(sizes, values, strict=True):
        assert value == pytest.approx(size, rel=0.005)


def test_one_thing_is_not_many() -> None:
    assert [count_text(number, "file") for number in (0, 1, 2, 1234)] == [
        "0 files", "1 file", "2 files", "1,234 files"
    ]  # fmt: skip
    assert [count_text(number, "file", width=4) for number in (1, 12)] == [
        "   1 file ",
        "  12 files",
    ]
