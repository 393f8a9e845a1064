"""curves: what is drawn, by matplotlib's own objects, and what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
from training import write_metrics

from pipeline import UserError
from trainer.reports.curves import AXES, curve, draw_curves, run_labels, smoothed, y_limits


@pytest.mark.parametrize("x", AXES)
def test_a_picture_holds_the_curves_of_every_run(tmp_path: Path, x: str) -> None:
    runs = [tmp_path / "lstm", tmp_path / "gru"]
    tables = [
        write_metrics(run, height=height) for run, height in zip(runs, (1.0, 2.0), strict=True)
    ]
    output = tmp_path / "curves.png"
    figure = draw_curves([str(run) for run in runs], output, x=x)
    assert output.read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["lstm", "lstm, validation", "gru", "gru, validation"]
    assert axes.get_xlabel() == AXES[x][1]

    lines = {line.get_label(): line for line in axes.get_lines()}
    for run, rows in zip(runs, tables, strict=True):
        for kind, label in (("train", run.name), ("validation", f"{run.name}, validation")):
            expected = [
                (row[AXES[x][0]], row["bits_per_byte"])
                for row in rows
                if row["kind"] == kind and row["bits_per_byte"] is not None
            ]
            if kind == "train":  # a straight line, but for the gap, stays one
                expected = list(
                    zip(
                        *np.transpose(expected)[:1], smoothed(np.array(expected)[:, 1]), strict=True
                    )
                )
            np.testing.assert_allclose(lines[label].get_xydata(), expected)
        assert lines[run.name].get_color() == lines[f"{run.name}, validation"].get_color()
    assert lines["lstm"].get_color() != lines["gru"].get_color()
    low, high = axes.get_ylim()
    assert low < 1.0 < 2.0 + 4 * 0.89 < high < 6.0


def test_smoothing_is_a_mean_of_neighbours() -> None:
    values = np.random.default_rng(0).normal(size=203)
    reach = round(0.02 * 203)
    slow = []
    for index in range(203):
        near = min(index, 202 - index, reach)
        slow.append(values[index - near : index + near + 1].mean())
    np.testing.assert_allclose(smoothed(values), slow)
    np.testing.assert_allclose(smoothed(np.arange(100.0)), np.arange(100.0))
    assert smoothed(np.array([3.0])).tolist() == [3.0]


def test_a_run_without_validation_and_one_without_finite_losses(tmp_path: Path) -> None:
    rows = [row for row in write_metrics(tmp_path / "a", height=1.0) if row["kind"] == "train"]
    assert curve(rows, "validation", "steps").x.size == 0
    assert curve(rows, None, "steps").x.size == 99
    assert y_limits([np.array([2.0]), np.array([])]) == (1.9, 2.1)


def test_runs_have_the_shortest_names_that_tell_them_apart() -> None:
    assert run_labels(["a/lstm", "a/gru/"]) == ["lstm", "gru"]
    assert run_labels(["a/x/run", "b/x/run", "run"]) == ["a/x/run", "b/x/run", "run"]
    assert run_labels(["gs://bucket/a/run", "gs://bucket/b/run"]) == ["a/run", "b/run"]
    with pytest.raises(UserError, match="`run` a is named twice"):
        run_labels(["a", "b", "a"])
    with pytest.raises(UserError, match="`run` a is named twice"):
        run_labels(["a", "a/"])


def test_what_cannot_be_drawn_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none cannot be drawn: no such directory; give"):
        draw_curves([f"{tmp_path}/none"], tmp_path / "x.png")
    with pytest.raises(UserError, match=r"cannot be drawn: it has no metrics\.jsonl yet; give"):
        draw_curves([str(tmp_path)], tmp_path / "x.png")
    write_metrics(tmp_path / "a", height=1.0)
    with pytest.raises(FileNotFoundError):
        draw_curves([f"{tmp_path}/a"], tmp_path / "none" / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_without_matplotlib_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_metrics(tmp_path / "a", height=1.0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"needs matplotlib; run: pip install 'textreel\[curves\]'"):
        draw_curves([f"{tmp_path}/a"], tmp_path / "x.png")
