"""Table and chart of what was measured."""

import statistics
from pathlib import Path

from rows import Row


def table_text(found: list[dict], rows: list[Row]) -> str:
    """The table, in Markdown: medians over the seeds (lowest-highest)."""
    processors = sorted({one["processor"] for one in found})
    lines = [
        "# Nats a character on known texts, and the time they take",
        "",
        f"`python benchmarks/quality`, {' and '.join(processors)}. Texts are split by position:",
        "Tiny Shakespeare 0.9 / 0.1, War and Peace 0.8 / 0.1 / 0.1. Medians over the seeds",
        "(lowest-highest) of the lowest validation. *Windows*: every window once, nothing known",
        "before it; of rows of lanes, as many lanes. *With state*: every character predicted from",
        "those before it (`textreel evaluate --stateful`).",
        "",
        "| row | goal | windows | with state | test, with state | training, s | whole process, s | "
        "memory, MB | steps | seeds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        runs = runs_of(row, found)
        if not runs:
            continue
        cells = [
            row.name,
            "-" if row.goal is None else f"{row.goal:.2f}",
            *(
                _median(runs, name, digits)
                for name, digits in (
                    ("nats", 4),
                    ("nats_with_state", 4),
                    ("test_nats_with_state", 4),
                    ("training_seconds", 0),
                    ("wall_seconds", 0),
                    ("megabytes", 0),
                    ("steps", 0),
                )
            ),
            str(len(runs)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    named = [f"- {row.name}: `{row.options_text()}`" for row in rows if runs_of(row, found)]
    return "\n".join([*lines, "", "The options:", "", *named]) + "\n"


def runs_of(row: Row, found: list[dict]) -> list[dict]:
    """What was measured of a row as it is now: not with the options that it had before."""
    return [one for one in found if (one["row"], one["options"]) == (row.name, row.options_text())]


def _median(runs: list[dict], name: str, digits: int) -> str:
    values = [one[name] for one in runs if name in one]
    if not values:
        return "-"
    text = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def draw(found: list[dict], rows: list[Row], path: Path) -> None:
    """Validation against seconds in training steps, of the first seed of every 3-minute row."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for row in rows:
        runs = runs_of(row, found)
        if not runs or not row.name.startswith("shakespeare-3min"):
            continue
        seconds, nats = zip(*min(runs, key=lambda one: one["seed"])["curve"], strict=True)
        style = "--" if row.peer else "-"
        axes.plot(seconds, nats, style, label=row.name.partition("/")[2])
    axes.set_xlabel("seconds in training steps")
    axes.set_ylabel("validation, nats a character")
    axes.set_ylim(1.4, 2.4)
    if axes.lines:
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
