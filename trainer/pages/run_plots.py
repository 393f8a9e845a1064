"""Plots of runs: bits a byte against tokens and time, and the waits for input."""

from collections.abc import Sequence

import numpy as np

from trainer.pages.course import Course
from trainer.pages.plots import Drawing, Line, Plot
from trainer.reports.curves import AXES, curve, run_labels, smoothed, y_limits

_MOST_ROWS = 12  # of a run, in a table


def run_plots(courses: Sequence[Course]) -> dict[str, Plot]:
    """Draws the courses of runs: name -> plot; none of what no run has measured."""
    labels = run_labels([course.run for course in courses])
    plots = []
    if any(curve(course.entries, None, "steps").y.size for course in courses):
        plots += [_draw_bits(courses, labels, x) for x in ("tokens", "seconds")]
    if any(entry.get("input_wait") is not None for run in courses for entry in run.entries):
        plots.append(_draw_waits(courses, labels))
    return {plot.name: plot for plot in plots}


def _draw_bits(courses: Sequence[Course], labels: Sequence[str], x: str) -> Plot:
    lines, rows = [], []
    for index, (course, label) in enumerate(zip(courses, labels, strict=True)):
        for dashes, kind in enumerate(("train", "validation")):
            found = curve(course.entries, kind, x)
            if not found.x.size:
                continue
            name = f"{label}, {kind}"
            shown = smoothed(found.y) if kind == "train" else found.y
            if kind == "train":
                lines.append(Line(label=name, x=found.x, y=found.y, colour=index, faint=True))
            lines.append(Line(label=name, x=found.x, y=shown, colour=index, dashes=dashes))
            kept = np.unique(np.linspace(0, len(found.x) - 1, _MOST_ROWS).round().astype(int))
            rows += [(name, f"{found.x[at]:,.0f}", f"{found.y[at]:.4f}") for at in kept]
    drawing = Drawing(f"bits-{x}")
    drawing.axes[0].set_ylim(*y_limits([curve(course.entries, None, x).y for course in courses]))
    drawing.draw_lines(lines)
    return Plot(
        name=f"bits-{x}",
        title=f"Bits a byte against {AXES[x][1]}",
        reading="Lower is better. A faint line is what was measured, the strong one its mean with "
        "neighbours; dashes are of validation.",
        svg=drawing.svg(x=AXES[x][1], y=["bits a byte"]),
        columns=("run", AXES[x][1], "bits a byte"),
        rows=tuple(rows),
    )


def _draw_waits(courses: Sequence[Course], labels: Sequence[str]) -> Plot:
    lines, rows = [], []
    for index, (course, label) in enumerate(zip(courses, labels, strict=True)):
        points = [
            (entry["step"], entry["input_wait"])
            for entry in course.entries
            if entry["kind"] == "train" and entry.get("input_wait") is not None
        ]
        if points:
            table = np.array(points, np.float64)
            waits = 100 * table[:, 1]
            lines.append(Line(label=label, x=table[:, 0], y=waits, colour=index))
            rows.append((label, f"{np.median(waits):.1f}", f"{waits.max():.1f}"))
    drawing = Drawing("waits")
    drawing.draw_lines(lines)
    drawing.axes[0].set_ylim(bottom=0)
    return Plot(
        name="waits",
        title="Waits for input",
        reading="The share of the time of training steps in which the next batch was waited for. "
        "Near 0, reading keeps up with training.",
        svg=drawing.svg(x="steps", y=["percent"]),
        columns=("run", "median, percent", "most, percent"),
        rows=tuple(rows),
    )
