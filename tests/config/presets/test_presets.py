"""presets: each is what the table of quality measured, and what is typed counts more."""

import dataclasses
import runpy
from pathlib import Path

import options
import pytest

from pipeline.errors import OptionError
from trainer.config.presets import PRESETS, preset
from trainer.task import build_parser

ROWS = Path(__file__).parents[3] / "benchmarks" / "quality" / "rows.py"
MEASURED = {
    "small": "shakespeare-3min/mingru128x2",
    "medium": "shakespeare-30min/mingru256x3",
    "large": "warpeace/lstm512x2-lanes",
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_was_measured(name: str) -> None:
    (row,) = (row for row in runpy.run_path(str(ROWS))["ROWS"] if row.name == MEASURED[name])
    measured = options.parsed(list(row.options))
    found = options.parsed([f"--preset={name}"])
    assert dataclasses.replace(found, steps=measured.steps) == measured
    assert preset(name).keys() <= {field.name for field in dataclasses.fields(found)}


def test_what_is_typed_counts_more() -> None:
    flags = ["--preset=small", "--units=64", "--schedule=constant", "--no_min_learning_rate_ratio"]
    found = options.parsed(flags)
    assert (found.model, found.units, found.min_learning_rate_ratio) == ("mingru", 64, None)
    with pytest.raises(OptionError) as error:
        options.parsed(["--preset=small", "--schedule=constant"])
    assert str(error.value).endswith(
        "(--preset small gives it; --no_min_learning_rate_ratio takes it away)"
    )


def test_a_file_and_a_preset_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["c", "-o", "r", "--preset=small", "--config=f"])
    assert "not allowed with" in capsys.readouterr().err
