"""Metrics of a run: `RUN/metrics.jsonl`, one JSON object a line, in the order of the steps.

`docs/metrics.md` lists the fields of an entry. The entries are those of one straight run, however
often it was stopped: a start that goes on from a checkpoint first cuts off the entries of later
steps, whose steps are done again.

On a local disk an entry is appended, and a process that is killed leaves at worst half a line at
the end, which readers leave out. Object stores cannot append: behind a URI the whole file is
written anew, but for entries of training alone at most once in `REMOTE_SECONDS`.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UserError
from pipeline.files import is_uri, join, read_text, write_text

METRICS_FILE = "metrics.jsonl"  # in the run's directory
REMOTE_SECONDS = 60.0

Entry = dict[str, Any]


def read_metrics(run: str | os.PathLike[str]) -> list[Entry]:
    """Reads what a run measured so far; it may be running.

    Args:
        run: the run's directory, or its URI.

    Returns:
        One dictionary an entry, in order; none where the run has measured nothing. A last line
        that is not whole is left out.

    Raises:
        UserError: a line is no entry.
    """
    return [_parsed(run, number, line) for number, line in enumerate(_lines(run), 1)]


class MetricsFile:
    """Adds entries to a run's metrics.

    Args:
        run: the run's directory, or its URI.
        start_step: the step to go on from; entries of later steps are cut off, all at once.

    Attributes:
        kept: the entries that were there and stay, in order.

    Raises:
        UserError: a line that is there is no entry.
    """

    def __init__(self, run: str | os.PathLike[str], *, start_step: int) -> None:
        self._path = join(run, METRICS_FILE)
        self.kept = [entry for entry in read_metrics(run) if entry["step"] <= start_step]
        text = "".join(map(_line, self.kept))
        if _raw(run) != text:
            write_text(self._path, text)
        self._local = None
        self._remote_text, self._unwritten, self._written_at = text, False, -math.inf
        if not is_uri(self._path):
            self._local = open(self._path, "a", encoding="utf-8")  # noqa: SIM115

    def add(self, entry: Mapping[str, Any]) -> None:
        """Adds an entry; numbers that are not finite, which JSON cannot hold, become null.

        Args:
            entry: has at least `kind` and `step`, the latter not below that of the entry before.
        """
        if self._local is not None:
            self._local.write(_line(entry))
        else:
            self._remote_text += _line(entry)
            self._unwritten = True

    def flush(self, *, at_once: bool = True) -> None:
        """Makes the entries visible to readers, and safe from the end of this process.

        Args:
            at_once: False: behind a URI, not before `REMOTE_SECONDS` have gone by.

        Raises:
            OSError: the file cannot be written.
            UserError: the same, of a URI.
        """
        if self._local is not None:
            self._local.flush()
        elif self._unwritten:
            now = time.monotonic()
            if at_once or now - self._written_at >= REMOTE_SECONDS:
                write_text(self._path, self._remote_text)
                self._unwritten, self._written_at = False, now

    def close(self) -> None:
        """Flushes and closes the file; closing it again does nothing."""
        if self._local is None:
            self.flush()
        elif not self._local.closed:
            self._local.close()


def _raw(run: str | os.PathLike[str]) -> str:
    try:
        return read_text(join(run, METRICS_FILE))
    except FileNotFoundError:
        return ""


def _lines(run: str | os.PathLike[str]) -> list[str]:
    """The whole lines of a run's metrics."""
    return _raw(run).split("\n")[:-1]


def _parsed(run: str | os.PathLike[str], number: int, line: str) -> Entry:
    try:
        entry = json.loads(line)
        if not isinstance(entry["step"], int) or not isinstance(entry["kind"], str):
            raise ValueError("`step` or `kind` has another type")
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{join(run, METRICS_FILE)}, line {number}: no entry of metrics ({error}); mend or "
            "remove the line"
        ) from error
    return entry


def _line(entry: Mapping[str, Any]) -> str:
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in entry.items()
    }
    return json.dumps(finite) + "\n"
