"""Durations as options take them: 90s, 10m, 2h."""

import re

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"\d+(\.\d+)?[smh]")


def seconds_of(text: str) -> float | None:
    """Returns the seconds of a duration; None where it is none, or of no length."""
    if _DURATION.fullmatch(text) is None:
        return None
    return float(text[:-1]) * _SECONDS[text[-1]] or None
