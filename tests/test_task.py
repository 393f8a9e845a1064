"""trainer.task: flags of every option, their defaults, and what Vertex AI says."""

import argparse
import dataclasses
from pathlib import Path

import pytest
from options import CHANGED, NEEDED, config_of, parsed

from pipeline.errors import OptionError
from trainer import task
from trainer.config import TrainConfig
from trainer.task import add_arguments, build_parser


def test_every_flag_sets_its_option_and_no_other() -> None:
    assert parsed([]) == config_of()
    assert set(CHANGED) == {field.name for field in dataclasses.fields(TrainConfig)}
    for name, (text, value) in CHANGED.items():
        needed = NEEDED.get(name, {})
        flags = [f"--{other}={needed[other]}" for other in needed]
        flags += [f"--{name}", *([text] if text else [])]
        config = parsed(flags) if name != "corpus" else parsed([], corpus=text)
        assert config == dataclasses.replace(config_of(**needed), **{name: value}), name


def test_defaults_of_the_environment_stand_in_for_required_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", "there")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "elsewhere")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    config = task.config_of(parser.parse_args(["corpus", "--events", "here"]))
    assert config == TrainConfig(corpus="corpus", output="there", events="here")


def test_help_shows_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainConfig):
        assert (f"--{field.name}" if field.name != "corpus" else " CORPUS ") in text
        assert " ".join(field.metadata["help"].split()) in text
    assert "(default: 0.2,0.5,1.0,1.2)" in text


def test_vertex_ai_names_the_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", "gs://bucket/job/checkpoints/")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "gs://bucket/job/logs/")
    arguments = build_parser().parse_args(["corpus"])
    config = task.config_of(arguments)
    assert config.output == "gs://bucket/job/checkpoints/"
    assert config.events == "gs://bucket/job/logs/"
    flags = ["corpus", "--output", "run", "--events", "logs"]
    config = task.config_of(build_parser().parse_args(flags))
    assert (config.output, config.events) == ("run", "logs")

    monkeypatch.delenv("AIP_CHECKPOINT_DIR")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "")
    assert task.config_of(build_parser().parse_args(flags[:3])).events is None
    with pytest.raises(OptionError, match=r"^`output` must be given$"):
        task.config_of(build_parser().parse_args(["corpus"]))


def test_a_file_gives_options_that_flags_change(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(config_of(lanes=True, steps=7, stride=None, seed=3).to_toml())
    assert parsed_file(file) == config_of(lanes=True, steps=7, seed=3)
    flags = ["other", "-o", "there", "--no-lanes", "--steps=8"]
    assert parsed_file(file, *flags) == dataclasses.replace(
        config_of(steps=8, seed=3), corpus="other", output="there"
    )
    with pytest.raises(FileNotFoundError):
        parsed_file(tmp_path / "none")


def test_what_a_file_gives_can_be_taken_away(tmp_path: Path) -> None:
    """Else no flag could make the rest of the file hold with another choice."""
    file = tmp_path / "run.toml"
    file.write_text(config_of(schedule="wsd", decay_fraction=0.5).to_toml())
    with pytest.raises(OptionError) as error:
        parsed_file(file, "--schedule=constant")
    assert str(error.value).endswith(f"({file} gives it; --no_decay_fraction takes it away)")
    flags = ["--schedule=constant", "--no_decay_fraction"]
    assert parsed_file(file, *flags) == config_of()
    with pytest.raises(OptionError) as error:
        parsed_file(file, "--schedule=constant", "--decay_fraction=0.2")
    assert str(file) not in str(error.value)


def parsed_file(file: Path, *flags: str) -> TrainConfig:
    arguments = build_parser().parse_args([f"--config={file}", *flags])
    return task.config_of(arguments)
