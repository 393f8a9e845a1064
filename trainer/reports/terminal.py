"""Terminal output of training: a bar on a terminal, a line a report elsewhere, messages between.

Messages and log records go through the bar, which is cleared for them and drawn again
below: nothing is overwritten half-way. Generated text comes among them: no escape sequence passes.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from absl import logging as absl_logging
from tqdm.auto import tqdm

from pipeline.progress import Bar, can_show_bars
from pipeline.sizes import size_text, time_text
from pipeline.terminal import printable, show, show_warning
from trainer.reports.meter import TrainingFigures

_GAP = "  "
_SLOW_SECONDS = 1.0
_LEAST_BAR = 12  # columns, the frame included, below which a bar says nothing


class Field(NamedTuple):
    """One figure of the line.

    Attributes:
        importance: where not all figures fit, those with the smallest numbers are left out.
        long: the text of the figure where there is room.
        short: its text where there is little room.
    """

    importance: int
    long: str
    short: str


def progress_fields(
    figures: TrainingFigures, *, num_steps: int, learning_rate: bool
) -> list[Field]:
    """The fields of the line, in their order.

    Args:
        figures: what they show.
        num_steps: steps of the whole run.
        learning_rate: whether to show it: it says something where it changes.
    """
    rate, wait, memory = (
        figures.tokens_per_second,
        figures.input_wait,
        size_text(figures.memory_bytes),
    )
    loss, bits = figures.loss, figures.bits_per_byte
    steps, left = f"{figures.step}/{num_steps}", f"{time_text(figures.seconds_left)} left"
    fields = [
        Field(9, f"step {steps}", steps),
        Field(7, f"loss {loss:.4f}", f"loss {loss:.3f}"),
        Field(6, f"{bits:.3f} bits/byte", f"{bits:.2f} bits/B"),
        Field(5, f"{rate:,.0f} tokens/s", f"{_short_number(rate)} tok/s"),
        Field(4, f"input wait {wait:.1%}", f"wait {wait:.0%}"),
        Field(2, memory, memory),
    ]
    if figures.gpu_memory_bytes is not None:
        gpu = f"GPU {size_text(figures.gpu_memory_bytes)}"
        fields.append(Field(3, gpu, gpu))
    if learning_rate:
        value = f"lr {figures.learning_rate:.3g}"
        fields.append(Field(1, value, value))
    return [*fields, Field(8, left, left)]


def whole_text(fields: Sequence[Field]) -> str:
    """Returns all figures with their long texts, however wide."""
    return _GAP.join(field.long for field in fields)


def fitted_text(fields: Sequence[Field], width: int) -> str:
    """Returns what fits: all figures, long or else short, or else the most important ones.

    Args:
        fields: the figures in their order.
        width: columns of the terminal; a single figure may take more.
    """
    if len(text := whole_text(fields)) <= width:
        return text
    kept = list(fields)
    while len(text := _GAP.join(field.short for field in kept)) > width and len(kept) > 1:
        kept.remove(min(kept))
    return text


def _short_number(number: float) -> str:
    """Three digits: 53012 -> "53k", 1234567 -> "1.23M"."""
    if number < 1000:
        return f"{number:.0f}"
    return f"{number / 1e3:.3g}k" if number < 999_500 else f"{number / 1e6:.3g}M"


class _ThroughBar:
    """A stream for log handlers that writes whole lines above the bar, to stderr."""

    def write(self, text: str) -> int:
        if text.strip():
            tqdm.write(printable(text.rstrip("\n")), file=sys.stderr)
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _Bar(Bar):
    """A bar whose text is fitted anew to the terminal's width whenever it is drawn."""

    def __init__(self, fields: list[Field], **options: Any) -> None:
        self.fields = fields  # before the first drawing, which is done at once
        super().__init__(**options)

    @property
    def format_dict(self) -> dict[str, Any]:
        values = super().format_dict
        columns = values["ncols"] or 80
        text = fitted_text(self.fields, columns - 1)
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
        if not quiet and can_show_bars():
            text = f"step {start_step}/{num_steps}"
            self._bar = _Bar(
                [Field(0, text, text)], total=num_steps, initial=start_step, dynamic_ncols=True
            )

    def update(self, figures: TrainingFigures, *, learning_rate: bool) -> None:
        """Shows how far the run is.

        Args:
            figures: what it shows.
            learning_rate: whether to show it.
        """
        fields = progress_fields(figures, num_steps=self._num_steps, learning_rate=learning_rate)
        if self._bar is not None:
            self._bar.fields = fields
            self._bar.n = figures.step
            self._bar.refresh()
        elif not self._quiet:
            show(whole_text(fields), file=sys.stderr)

    def message(self, text: str) -> None:
        """Prints a text of whole lines above the bar."""
        if self._quiet:
            return
        if self._bar is None:
            show(text)
        else:
            with tqdm.external_write_mode():
                show(text)

    def warning(self, text: str) -> None:
        """Prints what is odd, above the bar, to stderr; also where all else is quiet."""
        shown = self._bar is not None
        with tqdm.external_write_mode(sys.stderr) if shown else contextlib.nullcontext():
            show_warning(text)

    @contextlib.contextmanager
    def if_slow(self, text: str) -> Iterator[None]:
        """Says what is being done, once it has taken a second.

        What is done must let other threads run, as TensorFlow does where it computes and writes,
        and print nothing itself.
        """
        timer = threading.Timer(_SLOW_SECONDS, self.message, [text])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

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
