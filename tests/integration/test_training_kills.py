"""A training is killed wherever it writes, and at random: its end is that of the straight run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from training import ROOT


def run(kind: str, number: int, directory: Path) -> list[str]:
    command = [sys.executable, str(ROOT / "tests/training_kills.py"), kind, str(number)]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    child = subprocess.run(
        [*command, str(directory)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=7200,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


def test_some_points(tmp_path: Path) -> None:
    *wrong, summary = run("points", 50, tmp_path / "run")
    assert not wrong
    assert int(summary.split()[2]) > 100, summary


@pytest.mark.campaign
@pytest.mark.parametrize(("kind", "number"), [("points", 1), ("random", 50)])
def test_every_point_and_50_random_ones(tmp_path: Path, kind: str, number: int) -> None:
    *wrong, _ = run(kind, number, tmp_path / "run")
    assert not wrong
