"""Logs of a user's own, for `--log_to own_logs:FUNCTION`."""

from collections.abc import Callable
from typing import Any

calls: list[Any] = []
Log = Callable[[int, dict[str, float]], None]


def keep(config: Any) -> Log:
    calls.append(config)
    return lambda step, figures: calls.append((step, figures))


def fails(config: Any) -> Log:
    raise ValueError("no key")


def nothing(config: Any) -> None:
    pass


def always_fails(config: Any) -> Log:
    def log(step: int, figures: dict[str, float]) -> None:
        raise OSError("no network")

    return log


def fails_at_odd_tens(config: Any) -> Log:
    """At steps 10, 11, …, 30, 31."""

    def log(step: int, figures: dict[str, float]) -> None:
        if step // 10 % 2 or step == 11:
            raise OSError("no network")

    return log
