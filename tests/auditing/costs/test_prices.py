"""A file of prices: each field, and all that is wrong with one."""

from pathlib import Path

import pytest

from pipeline.auditing.costs.prices import read_prices
from pipeline.errors import UserError
from pipeline.files import Requests

WHOLE = """
scheme = "s3"
currency = "FLORIN"
writes_per_1000 = 5
reads_per_10000 = 4
month_per_gb = 30
out_per_gib = 0
"""


def test_prices_are_of_one_of_each(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(WHOLE)
    prices = read_prices(path)
    assert (prices.scheme, prices.currency) == ("s3", "FLORIN")
    assert (prices.write, prices.read) == (0.005, 0.0004)
    assert (prices.stored_byte, prices.out_byte) == (30e-9, 0)
    path.write_text(WHOLE.replace("out_per_gib = 0", "out_per_gib = 8"))
    prices = read_prices(path)
    asked = Requests(writes=1000, reads=10_000, removals=7, out_bytes=2**29)
    assert prices.of(asked) == pytest.approx(5 + 4 + 4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"s3"', '"hf"', "`scheme` must be one of 's3', 'gs', 'az', got 'hf'"),
        ('scheme = "s3"', "", "`scheme` must be one of 's3', 'gs', 'az', and is missing"),
        ('"FLORIN"', "3", "`currency` must be a text, got 3"),
        ("month_per_gb", "month_per_bg", "no field `month_per_bg`; did you mean `month_per_gb`?"),
        ("currency", "colour_of_it", "no field `colour_of_it`; known are scheme, currency, writes"),
        ("= 30", "= -1", "`month_per_gb` must be a number of at least 0, got -1"),
        ("= 30", "= nan", "`month_per_gb` must be a number of at least 0, got nan"),
        ("= 30", "= true", "`month_per_gb` must be a number of at least 0, got True"),
        ("= 30", '= "30"', "`month_per_gb` must be a number of at least 0, got '30'"),
        (
            "reads_per_10000 = 4",
            "",
            "there must be one of `reads_per_1000` and `reads_per_10000`, got none; 0 is a price",
        ),
        ("= 4", "= 4\nreads_per_1000 = 1", "`reads_per_1000` and `reads_per_10000`, got both"),
        ("= 4", "= = 4", "must be TOML in UTF-8"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(WHOLE.replace(old, new))
    with pytest.raises(UserError) as caught:
        read_prices(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"prices\.toml"):
        read_prices(tmp_path / "prices.toml")
