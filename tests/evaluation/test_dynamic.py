"""dynamic: the learning rate and its rules."""

import pytest

from pipeline.errors import OptionError
from trainer.evaluation.dynamic import DEFAULT_RATE, checked_rate


def test_a_rate_belongs_to_dynamic_evaluation() -> None:
    assert checked_rate(False, None) is None
    assert [checked_rate(True, rate) for rate in (None, 0.0, 2.5)] == [DEFAULT_RATE, 0.0, 2.5]


@pytest.mark.parametrize(
    ("dynamic", "rate", "message"),
    [
        (False, 0.0, "`dynamic_learning_rate` must not be given without `dynamic` .*, got 0.0; "),
        (True, -0.1, "`dynamic_learning_rate` must be at least 0 and finite, got -0.1; change"),
        (True, float("nan"), "must be at least 0 and finite, got nan"),
        (True, float("inf"), "must be at least 0 and finite, got inf"),
    ],
)
def test_a_rate_that_cannot_be_is_named(dynamic: bool, rate: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        checked_rate(dynamic, rate)
