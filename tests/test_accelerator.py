"""benchmarks.accelerator: every check, of small models on a CPU; the table."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from training import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks.accelerator import __main__ as accelerator
from benchmarks.accelerator import checks, rates
from benchmarks.accelerator.checks import Row
from pipeline import Corpus
from pipeline.options import from_flags
from trainer import task
from trainer.config import TrainConfig
from trainer.loop import train

FLAGS = ["--layers=1", "--units=8", "--seq_len=16", "--batch_size=8"]


def run(flags: list[str], environment: dict[str, str] | None = None) -> None:
    """As the command does, in this process."""
    train(from_flags(TrainConfig, task.build_parser().parse_args(flags)), quiet=True)


@pytest.fixture
def data(char_corpus: Corpus) -> list[str]:
    return [char_corpus.directory, "--eval_every=0"]


def test_losses_and_resumption_are_those_of_the_cpu(data: list[str], tmp_path: Path) -> None:
    options: dict[str, Any] = {"models": ["gru"], "precisions": ["float32"], "steps": 4}
    (row,) = checks.losses(tmp_path, [*data, *FLAGS], run=run, **options)
    assert row == (
        "losses of 4 steps as on the CPU: gru, float32",
        "differ by 0.0e+00; allowed 0.001",
        "yes",
    )
    (row,) = checks.resumption(tmp_path, [*data, *FLAGS], steps=4, run=run)
    assert re.fullmatch(r"0 of \d\d values differ", row.result)
    assert row.verdict == "yes"


def test_losses_and_checkpoints_that_differ_are_seen(data: list[str], tmp_path: Path) -> None:
    rate = iter(["--learning_rate=0.001", "--learning_rate=0.1"] * 2)

    def other(flags: list[str], environment: dict[str, str] | None = None) -> None:
        run([*flags, next(rate)])

    options: dict[str, Any] = {"models": ["lstm"], "precisions": ["float32"], "steps": 4}
    (row,) = checks.losses(tmp_path, [*data, *FLAGS], run=other, **options)
    assert row.verdict == "no"

    def forgetful(flags: list[str], environment: dict[str, str] | None = None) -> None:
        is_resumed = any("resumed" in flag for flag in flags)
        run([*flags, *(["--seed=2"] if is_resumed else [])])

    (row,) = checks.resumption(tmp_path, [*data, *FLAGS], steps=4, run=forgetful)
    assert row.verdict == "no"


def test_the_profile_says_which_kernels_ran(data: list[str], tmp_path: Path) -> None:
    (row,) = checks.kernels(tmp_path, [*data, *FLAGS], wanted=False)
    assert row[1:] == ("none of cuDNN's", "yes")


@pytest.mark.campaign
def test_a_signal_and_two_processes(data: list[str], tmp_path: Path) -> None:
    (row,) = checks.termination(tmp_path / "t", [*data, *FLAGS], seconds=1)
    assert re.fullmatch(r"saved step \d+, exit code 143 after \d+\.\d s", row.result)
    assert row.verdict == "yes"
    (row,) = checks.processes(tmp_path / "p", [*data, *FLAGS], num_gpus=0, steps=4)
    assert row.result.startswith("mean losses of 4 steps differ by ")
    assert row.verdict == "yes"


def test_rates_beside_peers(data: list[str], tmp_path: Path) -> None:
    ids = tmp_path / "ids"
    ids.write_bytes(bytes(range(9)) * 100)
    for size in rates.SMALL:
        (row,) = rates.rates(
            tmp_path, data, size, precision="float32", jits=("off",), report_steps=2, run=run
        )
        assert row.name == f"{size.name}, float32, XLA off"
        assert re.fullmatch(r"[\d,]+ tokens/s, [\d,]+ MB, waits for input .*%", row.result)
    (row,) = rates.peer_rates(
        str(ids),
        9,
        rates.SMALL[0],
        interpreters={"keras_fit": sys.executable},
        precision="float32",
        seconds=0.1,
    )
    assert row.name == "lstm 1 x 16, 8 x 16, float32: keras_fit"
    assert re.fullmatch(r"[\d,]+ tokens/s", row.result)


def test_what_fails_is_a_row_of_the_table() -> None:
    def fail() -> list[Row]:
        raise RuntimeError("no | such device")

    rows = [*accelerator.measured("kernels", fail), Row("SIGTERM", "ended", "yes")]
    text = accelerator.table(checks.devices(), rows)
    assert "| kernels | RuntimeError: no / such device | no |\n| SIGTERM | ended | yes |\n" in text
    assert "TensorFlow 2." in text
    assert json.loads(json.dumps(checks.devices()))["GPUs"] == []
