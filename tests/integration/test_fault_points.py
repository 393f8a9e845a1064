"""Every file operation of a prepare and of a repair fails once: the result is the straight one."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent.parent / "fault_points.py"
SCENARIOS = ("text", "rows", "overwrite", "repair")
FAULTS = ("kill", "ENOSPC", "EIO")


def run(scenario: str, fault: str, stride: int, directory: Path) -> list[str]:
    command = [sys.executable, str(PROGRAM), scenario, fault, str(stride), str(directory)]
    child = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout.splitlines()


@pytest.mark.parametrize("fault", FAULTS)
def test_some_points(tmp_path: Path, fault: str) -> None:
    """The smallest scenario at every point, the one with most to lose at some."""
    *wrong, points = run("rows", fault, 1, tmp_path / "rows")
    assert not wrong
    assert int(points.split()[0]) > 40
    *wrong, points = run("overwrite", fault, 5, tmp_path / "overwrite")
    assert not wrong
    assert int(points.split()[0]) > 80


@pytest.mark.campaign
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_point(tmp_path: Path, scenario: str, fault: str) -> None:
    *wrong, points = run(scenario, fault, 1, tmp_path / "run")
    assert not wrong
    assert int(points.split()[0]) > 25
