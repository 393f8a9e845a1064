"""saved: the options of a run, for who has its directory alone."""

from pathlib import Path

import pytest
from options import config_of
from training import run_child

from pipeline import UserError
from pipeline.auditing.trace import Training
from pipeline.reading.batches import Batches
from trainer.config.saved import run_config, training_of


def test_a_run_gives_its_options_back(tmp_path: Path) -> None:
    config = config_of(units=8, sample_temperatures=(0.0,))
    (tmp_path / "run.toml").write_text(config.to_toml())
    assert run_config(tmp_path) == config
    with pytest.raises(UserError, match="none is not the directory of a run: it has no run"):
        run_config(tmp_path / "none")


@pytest.mark.parametrize("lanes", [False, True])
def test_a_run_knows_what_it_trains_on(tmp_path: Path, lanes: bool) -> None:
    stride = None if lanes else 3
    config = config_of(
        seq_len=9, batch_size=4, stride=stride, seed=5, lanes=lanes, train_split="all"
    )
    (tmp_path / "run.toml").write_text(config.to_toml())
    assert training_of(str(tmp_path)) == Training(
        corpus="corpus",
        split="all",
        batches=Batches(seq_len=9, batch_size=4, stride=stride or 9, seed=5),
        lanes=lanes,
    )


def test_what_is_no_run_trains_on_nothing(tmp_path: Path) -> None:
    assert training_of(str(tmp_path)) is None
    (tmp_path / "run.toml").write_text("{}")
    with pytest.raises(UserError, match="not the settings of a run of this version"):
        training_of(str(tmp_path))


def test_it_needs_no_tensorflow() -> None:
    code = "import sys, trainer.config.saved; print('tensorflow' in sys.modules)"
    assert run_child(code) == "False\n"
