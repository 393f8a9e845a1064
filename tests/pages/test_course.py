"""course: where a loss leaps, and what a run wrote, also after it was stopped."""

from pathlib import Path

import pytest
from corpora import make, text
from training import tiny

from pipeline.errors import UserError
from trainer.pages.course import read_course, read_samples, spike_indices
from trainer.reports.events import EventWriter


def test_a_leap_stands_out_and_a_fall_does_not() -> None:
    usual = [2.0, 2.1] * 6
    assert spike_indices([*usual, 4.0, 2.0, 0.5]) == [12]
    assert spike_indices([*usual, 3.0, *usual, 4.0]) == [25, 12]


def test_the_first_reports_and_a_noise_are_no_spikes() -> None:
    assert spike_indices([9.0, 2.0, 5.0]) == []
    assert spike_indices([2.0] * 12 + [2.05]) == []


def test_a_loss_that_is_not_finite_is_one() -> None:
    assert spike_indices([2.0] * 12 + [float("nan"), 2.0]) == [12]


def test_samples_of_steps_that_were_done_again_come_once(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(2000))
    config = tiny(corpus.directory, tmp_path / "run")
    for start_step, written in ((0, "first"), (5, "again")):
        writer = EventWriter(f"{config.events_directory}/train", start_step=start_step)
        for step in range(start_step + 1, start_step + 11):
            writer.text("sample/temperature_0.5", f"{written}\nof {step}", step=step)
            writer.scalar("train/loss", 1.0, step=step)
        writer.close()
    samples = read_samples(config)
    assert [sample.step for sample in samples] == list(range(1, 16))
    assert samples[4].text == "first\nof 5"
    assert samples[5].text == "again\nof 6"
    assert samples[0].name == "temperature_0.5"


def test_a_run_without_metrics_is_told(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(2000))
    (tmp_path / "run").mkdir()
    options = tiny(corpus.directory, tmp_path / "run").to_toml()
    (tmp_path / "run/run.toml").write_text(options)
    with pytest.raises(UserError, match=r"has no metrics\.jsonl yet"):
        read_course(str(tmp_path / "run"))
