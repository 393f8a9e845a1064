"""trainer.task: flags of every option, their defaults, and what Vertex AI says."""

import argparse
import dataclasses

import pytest
from options import CHANGED, NEEDED, config_of, parsed

from pipeline.options import from_flags
from trainer.config import TrainConfig
from trainer.task import add_arguments, build_parser


def test_every_flag_sets_its_option_and_no_other() -> None:
    assert parsed([]) == config_of()
    assert set(CHANGED) == {field.name for field in dataclasses.fields(TrainConfig)}
    for name, (text, value) in CHANGED.items():
        needed = NEEDED.get(name, {})
        flags = [f"--{other}={needed[other]}" for other in needed]
        assert parsed([*flags, f"--{name}", *([text] if text else [])]) == dataclasses.replace(
            config_of(**needed), **{name: value}
        ), name


def test_defaults_of_the_environment_stand_in_for_required_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", "there")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "elsewhere")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    config = from_flags(TrainConfig, parser.parse_args(["--corpus", "corpus", "--events", "here"]))
    assert config == TrainConfig(corpus="corpus", output="there", events="here")


def test_help_shows_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainConfig):
        assert f"--{field.name}" in text
        assert " ".join(field.metadata["help"].split()) in text
    assert "(default: 0.2,0.5,1.0,1.2)" in text


def test_vertex_ai_names_the_directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIP_CHECKPOINT_DIR", "gs://bucket/job/checkpoints/")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "gs://bucket/job/logs/")
    arguments = build_parser().parse_args(["--corpus", "corpus"])
    assert arguments.output == "gs://bucket/job/checkpoints/"
    assert arguments.events == "gs://bucket/job/logs/"
    flags = ["--corpus", "corpus", "--output", "run", "--events", "logs"]
    arguments = build_parser().parse_args(flags)
    assert (arguments.output, arguments.events) == ("run", "logs")

    monkeypatch.delenv("AIP_CHECKPOINT_DIR")
    monkeypatch.setenv("AIP_TENSORBOARD_LOG_DIR", "")
    assert build_parser().parse_args([*flags[:4]]).events is None
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--corpus", "corpus"])
