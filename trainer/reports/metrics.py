"""Metrics of a run: `RUN/metrics.jsonl`, one JSON object a line, in the order of the steps.

`docs/metrics.md` lists the fields of an entry. The entries are those of one straight run, however
often it was stopped: a start that goes on from a checkpoint first cuts off the entries of later
steps, whose steps are done again.

On a local disk an entry is appended, and a process that is killed leaves at worst half a line at
the end, which readers leave out. Stores cannot append: there the whole file is
written anew, but for entries of training alone at most once in `REMOTE_SECONDS`.
"""

import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

from pipeline.errors import UserError
from pipeline.files import is_in_store, join, parse_json, read_bytes, write_text

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
        UserError: a line is no entry; it says which.
    """
    return _entries(run, _raw(run))


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
        there = _raw(run)
        self.kept = [entry for entry in _entries(run, there) if entry["step"] <= start_step]
        text = "".join(map(_line, self.kept))
        if there != text.encode():
            write_text(self._path, text)
        self._local = None
        self._remote_text, self._unwritten, self._written_at = text, False, -math.inf
        if not is_in_store(self._path):
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
            at_once: also safe from a power failure; False: in a store, not before
                `REMOTE_SECONDS` have gone by.

        Raises:
            OSError: the file cannot be written.
            UserError: the same, in a store.
        """
        if self._local is not None:
            self._local.flush()
            if at_once:
                os.fsync(self._local.fileno())
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


def _raw(run: str | os.PathLike[str]) -> bytes:
    try:
        return read_bytes(join(run, METRICS_FILE))
    except FileNotFoundError:
        return b""


def _entries(run: str | os.PathLike[str], raw: bytes) -> list[Entry]:
    """The entries of whole lines."""
    path = join(run, METRICS_FILE)
    return [_parsed(path, number, line) for number, line in enumerate(raw.split(b"\n")[:-1], 1)]


def _parsed(path: str, number: int, line: bytes) -> Entry:
    try:
        entry = parse_json(line.decode(), path)
        if not isinstance(entry, dict):
            raise ValueError("it is no object")
        if type(entry.get("step")) is not int or not isinstance(entry.get("kind"), str):
            raise ValueError("`step` or `kind` is missing, or has another type")
        for name, value in entry.items():
            if name != "kind" and value is not None and type(value) not in (int, float):
                raise ValueError(f"`{name}` is no number")
    except ValueError as error:
        raise UserError(
            f"{path}, line {number}: no entry of metrics ({error}). Nothing was changed: mend or "
            "remove that line, and the same command goes on"
        ) from error
    return entry


def _line(entry: Mapping[str, Any]) -> str:
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in entry.items()
    }
    return json.dumps(finite) + "\n"
