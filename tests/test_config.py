"""trainer.config: rules and messages, flags, JSON, identity."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import OptionError, UserError
from trainer.config import TrainConfig, add_arguments, describe_differences, from_args


def make(**changes: Any) -> TrainConfig:
    return TrainConfig(corpus="corpus", output="run", **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "`layers` must be an integer of at least 1, got 0; change --layers"),
        ({"units": 2.5}, "`units` must be an integer of at least 1, got 2.5"),
        ({"batch_size": True}, "`batch_size` must be an integer of at least 1, got True"),
        ({"seq_len": -1}, "`seq_len` must be an integer of at least 1, got -1"),
        ({"stride": 0}, "`stride` must be an integer of at least 1, got 0"),
        ({"eval_every": -1}, "`eval_every` must be an integer of at least 0, got -1"),
        ({"seed": 2**31}, "`seed` must be below 2**31, got 2147483648"),
        ({"dropout": 1.0}, "`dropout` must be at least 0 and below 1, got 1.0; change --dropout"),
        ({"dropout": float("nan")}, "`dropout` must be at least 0 and below 1, got nan"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0, got 0.0"),
        ({"clip_norm": -1.0}, "`clip_norm` must be at least 0 (0 turns clipping off), got -1.0"),
        ({"optimizer": "sgd"}, "`optimizer` must be one of adam, adamw, rmsprop; got 'sgd'"),
        ({"schedule": "linear"}, "`schedule` must be one of constant, cosine; got 'linear'"),
        ({"warmup_steps": -1}, "`warmup_steps` must be an integer of at least 0, got -1; change"),
        (
            {"warmup_steps": 50, "schedule": "cosine", "steps": 50},
            "`warmup_steps` must be below the step at which the cosine ends (50), got 50; change",
        ),
        (
            {"decay_steps": 9},
            "`decay_steps` must not be given with `schedule` 'constant' (it has no effect), got 9; "
            "leave --decay_steps out or use --schedule cosine",
        ),
        (
            {"decay_steps": 0, "schedule": "cosine"},
            "`decay_steps` must be an integer of at least 1, got 0; change --decay_steps",
        ),
        (
            {"min_learning_rate_ratio": 0.1},
            "`min_learning_rate_ratio` must not be given with `schedule` 'constant' (it has no",
        ),
        (
            {"min_learning_rate_ratio": 1.5, "schedule": "cosine"},
            "`min_learning_rate_ratio` must be from 0 to 1, got 1.5; change",
        ),
        (
            {"min_learning_rate_ratio": 0.0, "schedule": "cosine", "decay_steps": 9, "steps": 10},
            "`steps` must be at most `decay_steps` (9) with `min_learning_rate_ratio` 0 (later "
            "steps would change nothing), got 10; change --decay_steps or",
        ),
        (
            {"weight_decay": 0.1},
            "`weight_decay` must not be given with `optimizer` 'adam' (it has no effect), got 0.1; "
            "leave --weight_decay out or use --optimizer adamw",
        ),
        (
            {"weight_decay": -0.1, "optimizer": "adamw"},
            "`weight_decay` must be at least 0, got -0.1; change --weight_decay",
        ),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be at least 0 and below 1, got 1.0"),
        ({"accumulate_steps": 0}, "`accumulate_steps` must be an integer of at least 1, got 0"),
        (
            {"accumulate_steps": 2, "lanes": True},
            "`accumulate_steps` must be 1 with `lanes` (whose state belongs to whole steps), got "
            "2; leave --accumulate_steps or --lanes out",
        ),
        (
            {"precision": "float8"},
            "`precision` must be one of float32, bfloat16, float16; got 'float8'",
        ),
        ({"early_stopping": -1}, "`early_stopping` must be an integer of at least 0, got -1"),
        (
            {"early_stopping": 2, "eval_every": 0},
            "`early_stopping` must be 0 with `eval_every` 0 (there is no validation loss to stop "
            "by), got 2; change --eval_every or --early_stopping",
        ),
        ({"targets": "first"}, "`targets` must be one of sequence, last; got 'first'"),
        (
            {"strategy": "gpu"},
            "`strategy` must be one of auto, one_device, mirrored, multi_worker, tpu; got 'gpu'",
        ),
        (
            {"strategy": "tpu"},
            "`tpu` must name the TPU with `strategy` 'tpu', got None; give --tpu",
        ),
        ({"tpu": ""}, "`tpu` must name the TPU with `strategy` 'auto', got ''; give --tpu NAME"),
        (
            {"tpu": "x", "strategy": "mirrored"},
            "`tpu` must not be given with `strategy` 'mirrored', got 'x'; leave --tpu out or use",
        ),
        ({"tpu": "x", "jit": "on"}, "`jit` must not be 'on' on a TPU, where every step is"),
        (
            {"jit": "on", "strategy": "multi_worker"},
            "leave --jit out, or use --strategy one_device",
        ),
        ({"save_every": 0}, "`save_every` must be an integer of at least 1 or a time such as 90s"),
        ({"save_every": True}, "`save_every` must be an integer of at least 1 or a time"),
        ({"save_every": "0m"}, "a time such as 90s, 10m or 2h, got '0m'; change --save_every"),
        ({"save_every": "10"}, "`save_every` must be an integer of at least 1 or a time"),
        ({"save_every": "10d"}, "`save_every` must be an integer of at least 1 or a time"),
        ({"jit": "yes"}, "`jit` must be one of auto, off, on; got 'yes'"),
        ({"jit": "on", "strategy": "mirrored"}, "leave --jit out, or use --strategy one_device"),
        ({"sample_temperatures": ()}, "to generate no text, set `sample_tokens` to 0"),
        ({"sample_temperatures": (-1.0,)}, "`sample_temperatures` must be at least 0, got -1.0"),
        ({"train_split": ""}, "`train_split` must not be empty; give a value with --train_split"),
        ({"model": "rnn"}, "`model` must be one of lstm, gru, transformer, or MODULE:FUNCTION;"),
        ({"model": "a.b:"}, "or MODULE:FUNCTION; got 'a.b:'"),
        ({"model": "a b:c"}, "or MODULE:FUNCTION; got 'a b:c'"),
        ({"heads": 2}, "`heads` must not be given with `model` 'lstm' (it has no attention), got"),
        ({"heads": 0}, "`heads` must be an integer of at least 1, got 0; change --heads"),
        ({"embedding_dim": 0}, "`embedding_dim` must be an integer of at least 1, got 0"),
        (
            {"model": "transformer", "units": 100, "heads": 4},
            "`units` must be a multiple of twice the `heads` (4) of a Transformer, got 100; change",
        ),
        (
            {"model": "transformer", "embedding_dim": 64},
            "`embedding_dim` must be the `units` (256) of a Transformer, got 64; leave",
        ),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as error:
        make(**changes)
    assert message in str(error.value)


CHANGED = {
    "corpus": ("other", "other"),
    "output": ("other", "other"),
    "events": ("other", "other"),
    "model": ("gru", "gru"),
    "layers": ("3", 3),
    "units": ("8", 8),
    "embedding_dim": ("8", 8),
    "heads": ("2", 2),
    "dropout": ("0.5", 0.5),
    "pretrained_embeddings": ("file.txt", "file.txt"),
    "freeze_embeddings_steps": ("-1", -1),
    "seq_len": ("40", 40),
    "stride": ("3", 3),
    "lanes": ("", True),
    "batch_size": ("8", 8),
    "steps": ("8", 8),
    "seed": ("8", 8),
    "targets": ("last", "last"),
    "learning_rate": ("0.5", 0.5),
    "optimizer": ("rmsprop", "rmsprop"),
    "schedule": ("cosine", "cosine"),
    "warmup_steps": ("8", 8),
    "decay_steps": ("8", 8),
    "min_learning_rate_ratio": ("0.5", 0.5),
    "weight_decay": ("0.5", 0.5),
    "clip_norm": ("0", 0.0),
    "early_stopping": ("3", 3),
    "label_smoothing": ("0.1", 0.1),
    "precision": ("bfloat16", "bfloat16"),
    "accumulate_steps": ("4", 4),
    "eval_every": ("0", 0),
    "save_every": ("8", 8),
    "log_every": ("8", 8),
    "histograms_every": ("8", 8),
    "keep_checkpoints": ("8", 8),
    "strategy": ("mirrored", "mirrored"),
    "tpu": ("local", "local"),
    "jit": ("on", "on"),
    "train_split": ("all", "all"),
    "validation_split": ("test", "test"),
    "sample_tokens": ("0", 0),
    "sample_temperatures": ("0,1.5", (0.0, 1.5)),
}


# What an option needs beside it to be allowed at all.
NEEDED: dict[str, dict[str, Any]] = {
    "decay_steps": {"schedule": "cosine"},
    "min_learning_rate_ratio": {"schedule": "cosine"},
    "weight_decay": {"optimizer": "adamw"},
    "heads": {"model": "transformer"},
    "freeze_embeddings_steps": {"pretrained_embeddings": "file.txt"},
}


def parse(arguments: list[str]) -> TrainConfig:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_args(parser.parse_args(["--corpus", "corpus", "--output", "run", *arguments]))


def test_every_flag_sets_its_option_and_no_other() -> None:
    assert parse([]) == make()
    assert set(CHANGED) == {field.name for field in dataclasses.fields(TrainConfig)}
    for name, (text, value) in CHANGED.items():
        needed = NEEDED.get(name, {})
        flags = [f"--{other}={needed[other]}" for other in needed]
        assert parse([*flags, f"--{name}", *([text] if text else [])]) == dataclasses.replace(
            make(**needed), **{name: value}
        ), name


def test_defaults_may_be_given_for_required_options() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, {"output": "there", "events": "elsewhere"})
    config = from_args(parser.parse_args(["--corpus", "corpus", "--events", "here"]))
    assert config == TrainConfig(corpus="corpus", output="there", events="here")


def test_help_shows_every_flag_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(TrainConfig):
        assert f"--{field.name}" in text
        assert " ".join(field.metadata["help"].split()) in text
    assert "(default: 0.2,0.5,1.0,1.2)" in text


def test_json_gives_the_configuration_back(tmp_path: Path) -> None:
    config = make(stride=3, sample_temperatures=(0.0, 1.5))
    (tmp_path / "config.json").write_text(config.to_json())
    assert TrainConfig.from_json(tmp_path / "config.json") == config


@pytest.mark.parametrize("text", ["{", "[]", '{"corpus": "a", "output": "b", "colour": 1}'])
def test_json_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json: not the settings of a run"):
        TrainConfig.from_json(tmp_path / "config.json")


def test_identity_holds_what_changes_the_weights() -> None:
    free = {"corpus", "output", "events", "steps", "eval_every", "save_every", "log_every", "jit"}
    free |= {"accumulate_steps", "early_stopping", "tpu"}
    free |= {"keep_checkpoints", "strategy", "validation_split"}
    free |= {"pretrained_embeddings"}  # the run adds the digest of the file
    free |= {"histograms_every", "sample_tokens", "sample_temperatures"}
    for name, (_, value) in CHANGED.items():
        needed = NEEDED.get(name, {})
        other = dataclasses.replace(make(**needed), **{name: value})
        changed = other.identity() != make(**needed).identity()
        assert changed == (name not in free), name
    assert make(stride=64, embedding_dim=64).identity() == make().identity()
    transformer = make(model="transformer")
    assert transformer.identity()["heads"] == 4
    assert make(model="transformer", embedding_dim=256).identity() == transformer.identity()
    assert make(model="transformer", heads=4).identity() == transformer.identity()
    assert make(model="transformer", units=32).num_heads == 1
    cosine = make(schedule="cosine", steps=50)
    assert cosine.identity() != make(schedule="cosine", steps=60).identity()
    assert make(schedule="cosine", steps=60, decay_steps=50).identity() == cosine.identity()
    adamw = make(optimizer="adamw")
    assert make(optimizer="adamw", weight_decay=0.01).identity() == adamw.identity()
    own = make(model="package.module:function", heads=3)
    assert (own.identity()["model"], own.identity()["heads"]) == ("package.module:function", 3)


def test_differences_name_both_values() -> None:
    assert describe_differences(make().identity(), make(units=8, seq_len=32).identity()) == [
        "`units`: the run has 256, now 8",
        "`seq_len`: the run has 64, now 32",
        "`stride`: the run has 64, now 32",
    ]
    shorter, longer = (make(schedule="cosine", steps=steps).identity() for steps in (50, 60))
    assert describe_differences(shorter, longer) == [
        "`decay_steps`: the run has 50, now 60 (where it is not given, it is --steps; give "
        "--decay_steps 50)"
    ]


@pytest.mark.parametrize(
    ("text", "steps", "seconds"),
    [("500", 500, None), ("90s", None, 90), ("10m", None, 600), ("1.5h", None, 5400)],
)
def test_saves_are_every_so_many_steps_or_so_much_time(
    text: str, steps: int | None, seconds: float | None, tmp_path: Path
) -> None:
    config = parse(["--save_every", text])
    assert (config.save_steps, config.save_seconds) == (steps, seconds)
    (tmp_path / "config.json").write_text(config.to_json())
    assert TrainConfig.from_json(tmp_path / "config.json") == config
