"""How far a run is, on one line: whole on plain output, as much as fits on a terminal."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.sizes import size_text, time_text
from trainer.reports.meter import TrainingReport

_GAP = "  "


class Field(NamedTuple):
    """One figure of the line.

    Attributes:
        importance: of two figures that do not both fit, the one of less goes.
        long: its text where there is room.
        short: where there is little.
    """

    importance: int
    long: str
    short: str


def progress_fields(report: TrainingReport, *, num_steps: int, learning_rate: bool) -> list[Field]:
    """The figures of a report, in the order in which they stand.

    Args:
        report: the figures.
        num_steps: steps of the whole run.
        learning_rate: whether to show it: it says something where it changes.
    """
    rate, wait, memory = report.tokens_per_second, report.input_wait, size_text(report.memory_bytes)
    loss, bits = report.loss, report.bits_per_byte
    steps, left = f"{report.step}/{num_steps}", f"{time_text(report.seconds_left)} left"
    fields = [
        Field(9, f"step {steps}", steps),
        Field(7, f"loss {loss:.4f}", f"loss {loss:.3f}"),
        Field(6, f"{bits:.3f} bits/byte", f"{bits:.2f} bits/B"),
        Field(5, f"{rate:,.0f} tokens/s", f"{_short_number(rate)} tok/s"),
        Field(4, f"input wait {wait:.1%}", f"wait {wait:.0%}"),
        Field(2, memory, memory),
    ]
    if report.gpu_memory_bytes is not None:
        gpu = f"GPU {size_text(report.gpu_memory_bytes)}"
        fields.append(Field(3, gpu, gpu))
    if learning_rate:
        value = f"lr {report.learning_rate:.3g}"
        fields.append(Field(1, value, value))
    return [*fields, Field(8, left, left)]


def whole(fields: Sequence[Field]) -> str:
    """All figures with their long texts, however wide."""
    return _GAP.join(field.long for field in fields)


def fitted(fields: Sequence[Field], width: int) -> str:
    """What fits of a line: all figures, long or else short, or else the most important ones.

    Args:
        fields: the figures in their order.
        width: columns that there are; a single figure may take more.
    """
    if len(text := whole(fields)) <= width:
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
