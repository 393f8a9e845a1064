"""splits: which a run can train on and be measured on, and what is said of the others."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from corpora import make, text
from training import tiny

from pipeline import Corpus, OptionError, UserError
from trainer.config.splits import check_measured, check_splits, without_validation
from trainer.loop import train


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "all"}, "has no split 'all', only train, validation; change"),
        ({"validation_split": "test", "eval_every": 1}, "turn evaluation off with --eval_every 0"),
        ({"seq_len": 10_000}, "one window needs 10001 in one shard; lower --seq_len"),
        (
            {"seq_len": 2000, "eval_every": 1, "validation_split": "validation"},
            "`validation_split`: the split 'validation' of",
        ),
        (
            {"seq_len": 2000, "eval_every": 1, "early_stopping": 1},
            "is shorter than one window, so there is no validation loss to stop by; name another",
        ),
    ],
)
def test_splits_that_cannot_work(
    char_corpus: Corpus, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError) as error:
        train(tiny(char_corpus.directory, run, **changes), quiet=True)
    assert message in str(error.value)
    assert not run.exists()


def test_without_a_validation_split_a_run_goes_on_and_says_so(
    char_corpus: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whether it is missing, or too short; and the same command goes on with such a run."""
    without = make(tmp_path, text(3000), splits={"train": 0.5, "test": 0.5})
    run = tmp_path / "run"
    for steps in (2, 4):
        result = train(tiny(without.directory, run, steps=steps, eval_every=1))
        assert (result.step, result.evaluation) == (steps, None)
        assert "has no split 'validation', so the run is not evaluated" in capfd.readouterr()[0]
    config = tiny(without.directory, "unused", eval_every=1)
    assert without_validation(without, config)[0].eval_every == 0
    short = tiny(char_corpus.directory, "unused", eval_every=1, seq_len=2000)
    changed, note = without_validation(char_corpus, short)
    assert changed.eval_every == 0
    assert note is not None
    assert "the split 'validation' of" in note
    assert "is shorter than one window" in note
    named = {"eval_every": 1, "validation_split": "validation"}
    for corpus, options in ((char_corpus, {"eval_every": 1}), (without, {}), (without, named)):
        kept = tiny(corpus.directory, "unused", **options)
        assert without_validation(corpus, kept) == (kept, None)


def test_lanes_are_validated_on_a_token_each_at_least(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(3000), splits={"train": 0.99, "validation": 0.01})
    num_tokens = corpus.splits["validation"].num_tokens
    assert 8 < num_tokens < 100
    options = {"lanes": True, "seq_len": 16, "eval_every": 1}
    enough = tiny(corpus.directory, "unused", **options, batch_size=num_tokens)
    assert without_validation(corpus, enough) == (enough, None)
    many = tiny(corpus.directory, "unused", **options, batch_size=num_tokens + 1)
    changed, note = without_validation(corpus, many)
    assert changed.eval_every == 0
    assert note is not None
    assert "is shorter than one token a lane, so the run is not evaluated" in note
    named = dataclasses.replace(many, validation_split="validation")
    shortage = f"it has {num_tokens} tokens, {num_tokens + 1} lanes need {num_tokens + 1}; "
    with pytest.raises(UserError, match=shortage + "lower --batch_size or prepare"):
        check_splits(corpus, named)
    with pytest.raises(UserError, match=shortage + "name another"):
        check_measured(corpus, named)


def test_a_split_that_is_too_short_for_the_lanes(lane_corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match=r"must be at most the \d+ tokens of the split, got 8 lanes of 2000; use fewer",
    ):
        train(tiny(lane_corpus.directory, tmp_path / "run", lanes=True, seq_len=2000), quiet=True)
    assert not (tmp_path / "run").exists()
