"""What a training run shows: a bar on a terminal, plain lines elsewhere, messages between.

Messages and log records go through the bar, which is cleared for them and drawn again
below: nothing is overwritten half-way.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from absl import logging as absl_logging
from tqdm import tqdm

from trainer.reports.meter import TrainingReport
from trainer.reports.progress_line import Field, fitted, progress_fields, whole

_LEAST_BAR = 12  # columns, the frame included, below which a bar says nothing


class _ThroughBar:
    """A stream for log handlers that writes whole lines above the bar, to stderr."""

    def write(self, text: str) -> int:
        if text.strip():
            tqdm.write(text.rstrip("\n"), file=sys.stderr)
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Bar(tqdm):
    """A bar whose text is fitted anew to the terminal's width whenever it is drawn."""

    def __init__(self, fields: list[Field], **options: Any) -> None:
        self.fields = fields  # before the first drawing, which is done at once
        super().__init__(**options)

    @property
    def format_dict(self) -> dict[str, Any]:
        values = super().format_dict
        columns = values["ncols"] or 80
        text = fitted(self.fields, columns - 1)
        bar = " |{bar}|" if columns - len(text) >= _LEAST_BAR else ""
        return {**values, "bar_format": text + bar}


class Progress:
    """The progress of a run of `num_steps` steps. The bar is on stderr, messages on stdout.

    Args:
        num_steps: steps of the whole run.
        start_step: steps done before this process started.
        quiet: shows nothing at all.
    """

    def __init__(self, *, num_steps: int, start_step: int, quiet: bool = False) -> None:
        self._num_steps = num_steps
        self._quiet = quiet
        self._bar = None
        if not quiet and sys.stderr.isatty():
            text = f"step {start_step}/{num_steps}"
            self._bar = _Bar(
                [Field(0, text, text)], total=num_steps, initial=start_step, dynamic_ncols=True
            )

    def update(self, report: TrainingReport, *, learning_rate: bool) -> None:
        """Shows how far the run is.

        Args:
            report: the figures.
            learning_rate: whether to show it.
        """
        fields = progress_fields(report, num_steps=self._num_steps, learning_rate=learning_rate)
        if self._bar is not None:
            self._bar.fields = fields
            self._bar.n = report.step
            self._bar.refresh()
        elif not self._quiet:
            print(whole(fields), file=sys.stderr, flush=True)

    def message(self, text: str) -> None:
        """Prints a text of whole lines above the bar."""
        if self._quiet:
            return
        if self._bar is None:
            print(text, flush=True)
        else:
            tqdm.write(text)

    def close(self) -> None:
        """Ends the bar; messages still print."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextlib.contextmanager
def logging_through_bar() -> Iterator[None]:
    """Sends absl's log records through the bar while the context lasts."""
    handler = absl_logging.get_absl_handler().python_handler
    stream = handler.stream
    handler.setStream(_ThroughBar())
    try:
        yield
    finally:
        handler.setStream(stream)
