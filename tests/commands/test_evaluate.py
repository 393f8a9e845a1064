"""evaluate: the command prints what the function returns."""

import json
from pathlib import Path

import pytest
from training import tiny

from pipeline import Corpus
from trainer.cli import build_parser
from trainer.evaluation.evaluate import evaluate
from trainer.loop import train


def test_the_command_measures_the_split_and_the_checkpoint_that_are_named(
    char_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"steps": 2, "eval_every": 1, "learning_rate": 1.0, "sample_tokens": 0}
    train(tiny(char_corpus.directory, tmp_path, **options), quiet=True)
    printed = []
    for flags, keywords in [
        ([], {}),
        (["--split", "train"], {"split": "train"}),
        (["--checkpoint", "newest"], {"checkpoint": "newest"}),
    ]:
        arguments = build_parser().parse_args(["evaluate", str(tmp_path), *flags])
        arguments.run(arguments)
        measured = evaluate(tmp_path, **keywords)
        printed.append(capsys.readouterr().out)
        assert printed[-1] == f"{measured.num_windows:,} windows: {measured}\n"
    assert len(set(printed)) == 3
    arguments = build_parser().parse_args(["evaluate", str(tmp_path), "--stateful"])
    arguments.run(arguments)
    stateful = evaluate(tmp_path, stateful=True).stateful
    assert stateful is not None
    said = f"{stateful.num_tokens:,} tokens with those before: {stateful}\n"
    assert capsys.readouterr().out == printed[0] + said
    flags = ["--dynamic", "--dynamic_learning_rate", "0.01"]
    arguments = build_parser().parse_args(["evaluate", str(tmp_path), *flags])
    arguments.run(arguments)
    dynamic = evaluate(tmp_path, dynamic=True, dynamic_learning_rate=0.01).dynamic
    said = f"{stateful.num_tokens:,} tokens with those before, learning: {dynamic}\n"
    assert capsys.readouterr().out == printed[0] + said


def test_a_run_of_lanes_is_measured_in_lanes(
    lane_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"steps": 2, "eval_every": 2, "sample_tokens": 0, "lanes": True}
    trained = train(tiny(lane_corpus.directory, tmp_path, **options), quiet=True)
    arguments = build_parser().parse_args(["evaluate", str(tmp_path)])
    arguments.run(arguments)
    measured = evaluate(tmp_path)
    assert measured.evaluation == trained.evaluation
    assert capsys.readouterr().out == f"8 lanes side by side: {measured}\n"
    arguments = build_parser().parse_args(["evaluate", str(tmp_path), "--json"])
    arguments.run(arguments)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["num_windows"], shown["num_lanes"]) == (None, 8)
    assert shown["loss"] == measured.evaluation.loss
