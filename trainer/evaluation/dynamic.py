"""Learning rate of dynamic evaluation: its rules, which need no TensorFlow.

How the model learns stands in `trainer.evaluation.stateful`.
"""

import math

from pipeline.errors import OptionError

DEFAULT_RATE = 0.1


def checked_rate(dynamic: bool, rate: float | None) -> float | None:
    """Returns the learning rate of dynamic evaluation; None where it was not asked for.

    Args:
        dynamic: whether it was.
        rate: the rate that was given; None for `DEFAULT_RATE`.

    Raises:
        OptionError: a rate is given without `dynamic`, or is not a finite number of at least 0.
    """
    if rate is None:
        return DEFAULT_RATE if dynamic else None
    if not dynamic:
        raise OptionError(
            f"`dynamic_learning_rate` must not be given without `dynamic` (it has no effect), got "
            f"{rate}; leave --dynamic_learning_rate out or add --dynamic"
        )
    if not (math.isfinite(rate) and rate >= 0):
        raise OptionError(
            f"`dynamic_learning_rate` must be at least 0 and finite, got {rate}; change "
            "--dynamic_learning_rate"
        )
    return rate
