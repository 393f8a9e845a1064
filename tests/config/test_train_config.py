"""train_config: rules across groups, flags and options, TOML, identity."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from options import CHANGED, NEEDED, config_of, error_of

from pipeline.errors import UserError
from trainer.config import TrainConfig


def test_toml_gives_the_configuration_back(tmp_path: Path) -> None:
    config = config_of(stride=3, sample_temperatures=(0.0, 1.5))
    (tmp_path / "run.toml").write_text(config.to_toml())
    assert TrainConfig.from_toml(tmp_path / "run.toml") == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"must be TOML in UTF-8: Invalid statement \(at line 1, column 1\)"),
        ("", "missing 2 required"),
        ("colour = 1", "there is no option 'colour'"),
        ("step = 1", "there is no option 'step'; did you mean 'steps'"),
        ("steps = 1.5", "the option 'steps' has another type, got 1.5"),
        ("steps = true", "the option 'steps' has another type, got True"),
        ("dropout = '1'", "the option 'dropout' has another type, got '1'"),
        ("dropout = 1" + 400 * "0", "the option 'dropout' has another type, got 10"),
        ("corpus = 'a'\noutput = 'b'\nsteps = 0", "`steps` must be an integer of at least 1"),
        ("corpus = 'a'\noutput = 'b'\nsave_every = ''", "`save_every` must be"),
    ],
)
def test_toml_of_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(UserError, match=message):
        TrainConfig.from_toml(tmp_path / "run.toml")
    with pytest.raises(UserError, match=r"run\.toml: not the settings of a run"):
        TrainConfig.from_toml(tmp_path / "run.toml")


def test_every_option_can_be_written(tmp_path: Path) -> None:
    for name, (_, value) in CHANGED.items():
        config = dataclasses.replace(config_of(**NEEDED.get(name, {})), **{name: value})
        (tmp_path / "run.toml").write_text(config.to_toml())
        assert TrainConfig.from_toml(tmp_path / "run.toml") == config, name


def test_what_no_file_could_hold_is_refused() -> None:
    assert error_of(events="a\udcff") == (
        "`events` must be a text of UTF-8, got 'a\\udcff'; use another name"
    )


def test_identity_holds_what_changes_the_weights() -> None:
    free = {"corpus", "output", "events", "steps", "eval_every", "save_every", "log_every", "jit"}
    free |= {"accumulate_steps", "startup_timeout", "early_stopping", "tpu", "recompute"}
    free |= {"keep_checkpoints", "strategy", "validation_split", "cache_dir", "cache_bytes"}
    free |= {"init_from", "pretrained_embeddings"}  # the run adds the digests of the content
    free |= {"histograms_every", "log_to", "sample_tokens", "sample_temperatures"}
    for name, (_, value) in CHANGED.items():
        needed = NEEDED.get(name, {})
        other = dataclasses.replace(config_of(**needed), **{name: value})
        changed = other.identity() != config_of(**needed).identity()
        assert changed == (name not in free), name
    assert config_of(stride=64, embedding_dim=64).identity() == config_of().identity()
    transformer = config_of(model="transformer")
    assert transformer.identity()["heads"] == 4
    assert config_of(model="transformer", embedding_dim=256).identity() == transformer.identity()
    assert config_of(model="transformer", heads=4).identity() == transformer.identity()
    assert config_of(model="transformer", units=32).num_heads == 1
    cosine = config_of(schedule="cosine", steps=50)
    assert cosine.identity() != config_of(schedule="cosine", steps=60).identity()
    assert config_of(schedule="cosine", steps=60, decay_steps=50).identity() == cosine.identity()
    adamw = config_of(optimizer="adamw")
    assert config_of(optimizer="adamw", weight_decay=0.01).identity() == adamw.identity()
    own = config_of(model="package.module:function", heads=3)
    assert (own.identity()["model"], own.identity()["heads"]) == ("package.module:function", 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"recompute": True, "model": "gru"},
            "`recompute` must not be given with `model` 'gru' (it has no effect), got True; leave "
            "--recompute out or use --model transformer",
        ),
        (
            {"accumulate_steps": 2, "lanes": True},
            "`accumulate_steps` must be 1 with `lanes` (whose state belongs to whole steps), got "
            "2; leave --accumulate_steps or --lanes out",
        ),
        (
            {"lanes": True, "model": "transformer"},
            "`model` must be one of lstm, gru, mingru with `lanes` (which carry a recurrent ",
        ),
        (
            {"lanes": True, "model": "own_models:recurrent"},
            "got 'own_models:recurrent'; leave --lanes out",
        ),
        (
            {"pretrained_embeddings": "a.txt", "init_from": "base"},
            "`init_from` must not be given with `pretrained_embeddings` (the run's weights have",
        ),
        (
            {"init_from": "run"},
            "`init_from` must be another run than `output`, got run; a run goes",
        ),
        (
            {"pretrained_embeddings": "a.txt", "model": "package.module:function"},
            "`pretrained_embeddings` must not be given with a `model` of your own (package.module",
        ),
        (
            {"early_stopping": 2, "eval_every": 0},
            "`early_stopping` must be 0 with `eval_every` 0 (there is no validation loss to "
            "stop by), got 2; change --eval_every or --early_stopping",
        ),
    ],
)
def test_options_of_two_groups_that_do_not_go_together(
    changes: dict[str, Any], message: str
) -> None:
    assert message in error_of(**changes)
