"""request: rules and messages."""

from typing import Any

import numpy as np
import pytest

from pipeline import OptionError
from trainer.generation.request import Request


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": -1}, "`tokens` must be an integer of at least 0, got -1"),
        ({"tokens": 2**31}, "`tokens` must be below 2**31, got 2147483648"),
        ({"temperature": -0.5}, "`temperature` must be at least 0 and finite, got -0.5"),
        ({"temperature": float("nan")}, "`temperature` must be at least 0 and finite, got nan"),
        ({"top_k": -1}, "`top_k` must be an integer of at least 0, got -1"),
        ({"top_p": 0.0}, "`top_p` must be above 0 and at most 1 (1: all), got 0.0"),
        ({"top_p": 1.5}, "`top_p` must be above 0 and at most 1 (1: all), got 1.5"),
        ({"seed": -1}, "`seed` must be an integer of at least 0, got -1"),
        (
            {"prompt": "a\udcff"},
            "`prompt` must be UTF-8, but its character 1 is not: '\\udcff'; give",
        ),
        (
            {"stop": ("\ud83d",)},
            "`stop` must be UTF-8, but its character 0 is not: '\\ud83d'; give",
        ),
        ({"stop": ("a", "")}, "`stop` must not be empty"),
        ({"stop": "end"}, "`stop` must be a tuple of texts, got the text 'end'"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as error:
        Request(**options)
    assert message in str(error.value)


def test_integers_of_numpy_and_lists_of_texts_are_taken() -> None:
    request = Request(tokens=np.int64(3), stop=["a", "b"])  # type: ignore[arg-type]
    assert request == Request(tokens=3, stop=("a", "b"))
    assert type(request.tokens) is int
