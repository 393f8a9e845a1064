"""Curves of runs: their losses, from their metrics, in one picture.

matplotlib (`pip install 'textreel[curves]'`) is imported when a picture is drawn, TensorFlow
only for runs behind URIs.
"""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.files import exists, whole_file
from trainer.reports.metrics import METRICS_FILE, Entry, read_metrics

AXES = {
    "steps": ("step", "steps"),
    "tokens": ("tokens", "tokens read"),
    "seconds": ("seconds", "seconds in training steps"),
}
# Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which people of every kind of
# colour vision tell apart; without the yellow, which white swallows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_SMOOTHING = 0.02  # share of a curve's points over which it is averaged


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """Bits a byte over the course of a run.

    Attributes:
        x: steps, tokens or seconds, ascending.
        y: bits a byte.
    """

    x: np.ndarray
    y: np.ndarray


def draw_curves(runs: Sequence[str], output: str | os.PathLike[str], *, x: str = "steps") -> Any:
    """Draws the training and validation losses of runs into one PNG, in bits a byte.

    Args:
        runs: directories of runs, or their URIs.
        output: the picture; one that is there is replaced.
        x: what goes to the right: `steps`, `tokens` or `seconds`.

    Returns:
        The matplotlib figure.

    Raises:
        UserError: a directory has no metrics yet, or is named twice; or matplotlib is missing.
        OSError: the picture cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError(
            "drawing curves needs matplotlib; run: pip install 'textreel[curves]'"
        ) from error
    metrics = [_metrics_of(run) for run in runs]
    labels = run_labels(runs)
    figure = Figure(figsize=(9, 5.5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for index, (label, entries) in enumerate(zip(labels, metrics, strict=True)):
        colour = _COLOURS[index % len(_COLOURS)]
        train, validation = (curve(entries, kind, x) for kind in ("train", "validation"))
        if train.x.size:
            axes.plot(train.x, train.y, color=colour, alpha=0.25, linewidth=0.8)
            axes.plot(train.x, smoothed(train.y), color=colour, label=label, linewidth=1.6)
        if validation.x.size:
            axes.plot(
                validation.x,
                validation.y,
                color=colour,
                label=f"{label}, validation",
                linestyle="--",
                linewidth=1.2,
                marker=_MARKERS[index % len(_MARKERS)],
                markersize=5,
                markeredgecolor="white",
            )
    axes.set_xlabel(AXES[x][1])
    axes.set_ylabel("bits a byte")
    axes.set_ylim(*y_limits([curve(entries, None, x).y for entries in metrics]))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(axis_text)
    axes.legend(frameon=False, fontsize="small")
    with whole_file(output) as file:
        figure.savefig(file, format="png")
    return figure


def curve(entries: Sequence[Entry], kind: str | None, x: str) -> Curve:
    """Takes one curve from a run's metrics; entries whose loss is not finite are left out.

    Args:
        entries: the metrics.
        kind: `train` or `validation`; None for both.
        x: a key of `AXES`.
    """
    points = [
        (entry[AXES[x][0]], entry["bits_per_byte"])
        for entry in entries
        if kind in (None, entry["kind"])
        and None not in map(entry.get, (AXES[x][0], "bits_per_byte"))
    ]
    table = np.array(points, np.float64).reshape(-1, 2)
    return Curve(x=table[:, 0], y=table[:, 1])


def smoothed(values: np.ndarray) -> np.ndarray:
    """Averages each value with its neighbours, a fiftieth of all on either side.

    Near an end fewer neighbours count, as many on one side as on the other: a straight line
    stays one.

    Args:
        values: `[n]` float64.

    Returns:
        `[n]` float64. Example, for one neighbour on either side: `[3, 0, 3, 6]` -> `[3, 2, 3, 6]`.
    """
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(count)
    reach = np.minimum(np.minimum(index, count - 1 - index), round(_SMOOTHING * count))
    return (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)


def y_limits(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """The range that shows how runs end: the first steps, far above, would press it flat.

    Args:
        curves: bits a byte of each run; at least one has a value.

    Returns:
        From just below the lowest value to just above what the first tenth of each run has
        reached.
    """
    lowest = min(values.min() for values in curves if values.size)
    highest = max(values[values.size // 10 :].max() for values in curves if values.size)
    margin = 0.05 * (highest - lowest) or 0.1
    return lowest - margin, highest + margin


def run_labels(runs: Sequence[str]) -> list[str]:
    """Names runs by their directories: the last part, or as many as tell them apart.

    Example: `["a/lstm", "b/lstm"]` -> `["a/lstm", "b/lstm"]`, `["a/lstm", "a/gru"]` ->
    `["lstm", "gru"]`.

    Raises:
        UserError: a run is named twice.
    """
    paths = [run.rstrip("/").split("/") for run in runs]
    for count in itertools.count(1):
        labels = ["/".join(path[-count:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
        if count > max(map(len, paths)):
            break
    twice = next(run for run in runs if runs.count(run) > 1 or run + "/" in runs)
    raise UserError(f"`run` {twice} is named twice; name each run once")


def _metrics_of(run: str) -> list[Entry]:
    entries = read_metrics(run)
    if not entries:
        reason = "no such directory" if not exists(run) else f"it has no {METRICS_FILE} yet"
        raise UserError(
            f"`run` {run} cannot be drawn: {reason}; give the --output of `textreel train`, which "
            "reports every --log_every steps"
        )
    return entries


def axis_text(value: float, position: float) -> str:
    """An axis's number, wherever on it: 1500000 -> "1.5M"."""
    del position
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
