"""Plots of a page: text of any script stays text."""

import warnings

import numpy as np
import pytest

from trainer.pages.plots import Drawing, Line


@pytest.mark.parametrize("label", ["日本語", "ภาษาไทย", "עברית", "👩\u200d👧 <b>$x$"])
def test_names_of_any_script_are_text_and_nothing_is_warned_of(label: str) -> None:
    """As names of runs; matplotlib's own font has not the glyphs, and need not."""
    drawing = Drawing("plot")
    place = np.arange(5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawing.draw_lines([Line(label=name, x=place, y=place) for name in (label, "other")])
        svg = drawing.svg(x="steps", y=["loss"])
    assert label.replace("<b>", "&lt;b&gt;") in svg
