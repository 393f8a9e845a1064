"""curves: the command draws."""

from pathlib import Path

import pytest
from training import write_metrics

from trainer.cli import build_parser


def test_the_command_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics(tmp_path / "a", height=1.0)
    output = tmp_path / "x.png"
    flags = ["curves", f"{tmp_path}/a", "--output", str(output), "--x", "tokens"]
    arguments = build_parser().parse_args(flags)
    arguments.run(arguments)
    assert capsys.readouterr().out == f"drew 1 run into {output}\n"
    assert output.stat().st_size > 10_000
