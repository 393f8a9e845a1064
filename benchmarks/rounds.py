"""Rounds through all contenders in turn, so that none has the quieter machine."""

from collections.abc import Callable, Hashable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Measured = TypeVar("Measured")


def measure_in_rounds(
    commands: dict[Name, list[str]], measure: Callable[[list[str]], Measured], *, rounds: int
) -> tuple[dict[Name, list[Measured]], dict[Name, str]]:
    """Measures every contender once a round.

    Args:
        commands: of each contender.
        measure: a command -> what it measured; raises `RuntimeError` where that does not run.
        rounds: how often.

    Returns:
        What was measured of each contender, a list of `rounds`, and why others did not run; no
        contender is in both.
    """
    results: dict[Name, list[Measured]] = {}
    failed: dict[Name, str] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name in failed:
                continue
            try:
                measured = measure(command)
            except RuntimeError as error:
                failed[name] = str(error)
                results.pop(name, None)
            else:
                results.setdefault(name, []).append(measured)
    return results, failed
