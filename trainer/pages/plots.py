"""Plots of a page: SVG that takes the page's colours, and the numbers behind it as a table.

matplotlib draws in colours that stand for the page's own, so that one picture serves light, dark
and paper. Text stays text: it can be read aloud, searched and is small.
"""

import dataclasses
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from trainer.reports.curves import axis_text

_INK, _GRID = "#010101", "#020202"  # placeholders: what the style sheet calls `--ink`, `--grid`
_SERIES = tuple(f"#0303{index:02x}" for index in range(7))  # `--series-0` …
_DASHES = ("-", "--", "-.", ":")
_WIDTH, _HEIGHT = 4.6, 2.9  # inches: 1:1 on a phone
_FONT_POINTS = 11
_MOST_POINTS = 400  # of a line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plot:
    """A picture and what it shows.

    Attributes:
        name: different for each plot of a page.
        title: what it shows.
        reading: one sentence: what to see in it.
        svg: the picture.
        columns: the heads of the table's columns.
        rows: of the table.
    """

    name: str
    title: str
    reading: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a plot.

    Attributes:
        label: its name.
        x: `[n]` float64.
        y: `[n]` float64.
        colour: which of the series' colours.
        dashes: which kind of line.
        faint: whether it stands behind the others and has no name of its own.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    colour: int = 0
    dashes: int = 0
    faint: bool = False


class Drawing:
    """Axes to draw on, which become a plot's SVG.

    Args:
        name: of the plot.
        panels: one above the other, with the same x.

    Attributes:
        axes: matplotlib's, one a panel.
    """

    def __init__(self, name: str, *, panels: int = 1) -> None:
        from matplotlib.figure import Figure

        self._name = name
        self._figure = Figure(figsize=(_WIDTH, _HEIGHT * (1 + panels) / 2), layout="constrained")
        self.axes: list[Any] = list(
            self._figure.subplots(panels, 1, squeeze=False, sharex=True)[:, 0]
        )

    def draw_lines(self, lines: Sequence[Line]) -> None:
        """Draws lines into the first panel, thinned where they have very many points."""
        axes = self.axes[0]
        for line in lines:
            kept = np.unique(np.linspace(0, len(line.x) - 1, _MOST_POINTS).round().astype(int))
            axes.plot(
                line.x[kept],
                line.y[kept],
                color=_SERIES[line.colour % len(_SERIES)],
                linestyle=_DASHES[line.dashes % len(_DASHES)],
                linewidth=0.7 if line.faint else 1.8,
                marker="o" if len(line.x) < 12 else None,
                markersize=4,
                label=None if line.faint else line.label.replace("$", r"\$"),
            )
        if len([line for line in lines if not line.faint]) > 1:
            axes.legend(frameon=False, labelcolor=_INK, fontsize=_FONT_POINTS - 1, handlelength=2.5)

    def draw_bars(self, edges: np.ndarray, counts: np.ndarray) -> None:
        """Draws a histogram: `edges` `[n + 1]`, `counts` `[n]`."""
        self.axes[0].bar(
            edges[:-1], counts, np.diff(edges) * 0.92, align="edge", color=_SERIES[0], linewidth=0
        )

    def draw_points(self, panel: int, x: np.ndarray, y: np.ndarray) -> None:
        """Draws points into a panel."""
        self.axes[panel].plot(
            x, y, linestyle="", marker="o", markersize=2.2, color=_SERIES[0], markeredgewidth=0
        )

    def svg(self, *, x: str, y: Sequence[str], whole: bool = False) -> str:
        """Returns the picture.

        Args:
            x: what goes to the right.
            y: what goes up, a text for each panel.
            whole: whether a number on a linear axis is that of things, never half a one.
        """
        import matplotlib

        for axes, label in zip(self.axes, y, strict=True):
            axes.set_ylabel(label, color=_INK, fontsize=_FONT_POINTS)
            axes.grid(color=_GRID, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            axes.spines[["left", "bottom"]].set_color(_INK)
            axes.tick_params(colors=_INK, which="both", labelsize=_FONT_POINTS - 1)
            for axis, scale in ((axes.xaxis, axes.get_xscale()), (axes.yaxis, axes.get_yscale())):
                if whole and scale == "linear":
                    axis.get_major_locator().set_params(integer=True)
                axis.set_major_formatter(axis_text)
            axes.xaxis.set_minor_formatter("")
            axes.yaxis.set_minor_formatter("")
        self.axes[-1].set_xlabel(x, color=_INK, fontsize=_FONT_POINTS)
        written = io.StringIO()
        with (
            matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": self._name}),
            warnings.catch_warnings(),
        ):
            # Text stays text, in the browser's fonts: only the room for it is measured by ours.
            warnings.filterwarnings("ignore", "(Glyph|Matplotlib currently does not support)")
            self._figure.savefig(
                written,
                format="svg",
                transparent=True,
                metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
            )
        return _page_svg(written.getvalue(), self._name)


def _page_svg(svg: str, name: str) -> str:
    """Makes of matplotlib's file a part of a page: its ids its own, its colours the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = svg.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title" ', 1)
    svg = re.sub(r'((?: id="|href="#|url\(#))', rf"\1{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    svg = svg.replace(_INK, "var(--ink)").replace(_GRID, "var(--grid)")
    for index, colour in enumerate(_SERIES):
        svg = svg.replace(colour, f"var(--series-{index})")
    return re.sub(r"\n\s*", "\n", svg)
