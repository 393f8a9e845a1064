"""initial: a run starts from another's weights, says so, and refuses what does not fit."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import checkpoint_arrays, tiny

from pipeline import UserError
from pipeline.reading.corpus import Corpus
from trainer.evaluation.evaluate import evaluate
from trainer.loop import TrainResult, train

OPTIONS: dict[str, Any] = {"sample_tokens": 0, "eval_every": 6, "ema": 0.9}


@pytest.fixture(scope="module")
def base(char_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("base") / "run"
    train(tiny(char_corpus.directory, run, **OPTIONS), quiet=True)
    return run


def tune(corpus: Corpus, output: Path, base: Path, *, quiet: bool = True, **options: Any) -> Any:
    settings = {**OPTIONS, "steps": 2, "eval_every": 0, "ema": 0.0, **options}
    return train(tiny(corpus.directory, output, init_from=str(base), **settings), quiet=quiet)


def test_it_begins_where_the_best_checkpoint_of_the_other_run_was(
    char_corpus: Corpus, tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Other dropout and windows, and steps so small that nothing moves.
    options = {"dropout": 0.0, "learning_rate": 1e-12, "eval_every": 2}
    result: TrainResult = tune(char_corpus, tmp_path / "run", base, quiet=False, **options)
    assert result.evaluation is not None
    expected = evaluate(base).evaluation.loss
    assert result.evaluation.loss == pytest.approx(expected, rel=1e-5)
    said = f"starting from the weights (their average, of --ema) of {base} after 12 steps, its best"
    assert said in capsys.readouterr().out
    assert evaluate(tmp_path / "run").evaluation.loss == pytest.approx(expected, rel=1e-5)


def test_a_resumed_one_needs_the_other_run_no_more(
    char_corpus: Corpus, tmp_path: Path, base: Path
) -> None:
    other = tmp_path / "base"
    shutil.copytree(base, other)
    tune(char_corpus, tmp_path / "run", other, steps=1)
    shutil.rmtree(other)
    resumed = tune(char_corpus, tmp_path / "run", other, steps=2)
    straight = tune(char_corpus, tmp_path / "straight", base, steps=2)
    assert resumed.start_step == 1
    first, second = (checkpoint_arrays(one.checkpoint) for one in (resumed, straight))
    weights = [name for name in first if name.startswith("variables/")]
    assert weights
    for name in weights:
        np.testing.assert_array_equal(first[name], second[name])


def test_what_does_not_fit_is_refused(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path: Path, base: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(
        UserError, match="has another vocabulary than the corpus: the run's has the"
    ):
        tune(byte_corpus, run, base)
    with pytest.raises(UserError, match="other sizes: `units`: the run has 16, now 24"):
        tune(char_corpus, run, base, units=24)
    with pytest.raises(UserError, match="is not the directory of a run"):
        tune(char_corpus, run, tmp_path / "none")
    assert not run.exists()
    train(tiny(char_corpus.directory, run, **OPTIONS), quiet=True)
    with pytest.raises(UserError, match="`init_from`: the run has None, now"):
        tune(char_corpus, run, base, steps=13, eval_every=6, ema=0.9)
