"""trainer.early_stopping: when a run stops, resumed or not, and what it says."""

from pathlib import Path
from typing import Any

import pytest
from training import tiny

from pipeline import Corpus
from trainer import loop
from trainer.early_stopping import EarlyStopping
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.loop import train
from trainer.reports.metrics import read_metrics


def stopping_step(losses: list[float], patience: int) -> int | None:
    """Where a run with these losses, every 10 steps, stops."""
    config = tiny("corpus", "run", eval_every=10, early_stopping=patience)
    early_stopping, best = EarlyStopping(config, None), float("inf")
    for index, loss in enumerate(losses):
        step = 10 * (index + 1)
        assert early_stopping.reason_to_stop(step - 3) is None
        if loss < best:
            best = loss
            early_stopping.improved(step)
        if early_stopping.reason_to_stop(step):
            return step
    return None


def test_it_stops_after_so_many_evaluations_without_a_better_one() -> None:
    losses = [3.0, 2.5, 2.6, 2.5, 2.4, 2.6, 2.6, 2.6, 2.6]
    assert [stopping_step(losses, patience) for patience in range(5)] == [None, 30, 40, 80, 90]
    nan = float("nan")
    assert stopping_step([3.0, nan, nan], 2) == 30
    assert stopping_step([nan, nan, nan], 2) is None  # nothing to compare with


def test_the_reason_names_the_best_step_and_the_remedy() -> None:
    config = tiny("corpus", "run", eval_every=10, early_stopping=2)
    assert EarlyStopping(config, None).reason_to_stop(100) is None
    assert EarlyStopping(config, 85).reason_to_stop(90) is None
    assert EarlyStopping(config, 80).reason_to_stop(100) == (
        "stops early at step 100: its validation loss was lowest at step 80, 2 evaluations ago; "
        "`textreel generate --checkpoint best` takes that one. --early_stopping is 2; a larger "
        "one, or 0, lets the run go on"
    )


def evaluations(monkeypatch: pytest.MonkeyPatch, losses: dict[int, float]) -> None:
    """Lets the evaluation at each step find a given loss."""
    steps: list[int] = []
    evaluate = loop._Run._evaluate

    def remember(run: Any, step: int) -> Evaluation:
        steps.append(step)
        return evaluate(run, step)

    def found(_: Evaluator) -> Evaluation:
        return Evaluation.from_loss(losses[steps[-1]], num_tokens=1, num_bytes=1)

    monkeypatch.setattr(loop._Run, "_evaluate", remember)
    monkeypatch.setattr(Evaluator, "evaluate", found)


def test_a_run_stops_early_wherever_it_was_resumed(
    char_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    losses = {2: 3.0, 4: 2.0, 5: 2.1, 6: 2.5, 7: 2.5, 8: 2.5, 10: 1.0, 12: 1.0}
    options: dict[str, Any] = {
        "eval_every": 2,
        "save_every": 5,
        "early_stopping": 2,
        "sample_tokens": 0,
        "layers": 1,
    }
    evaluations(monkeypatch, losses)
    run = tmp_path / "run"
    # Stopped after step 5, or after step 7: the evaluation at step 6 counts once.
    for steps in (5, 7, 12):
        result = train(tiny(char_corpus.directory, run, **{**options, "steps": steps}))
    assert result.step == 8
    assert result.checkpoint.endswith("ckpt-8")
    out = capsys.readouterr().out
    assert f"{run} stops early at step 8: its validation loss was lowest at step 4" in out
    again = train(tiny(char_corpus.directory, run, **options))
    assert (again.start_step, again.step) == (8, 8)
    assert "stops early at step 8" in capsys.readouterr().out
    longer = train(tiny(char_corpus.directory, run, **{**options, "early_stopping": 3}))
    assert longer.step == 12


def test_an_evaluation_that_was_cut_off_is_done_by_the_next_start(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4 is the best: without its evaluation, the run would stop elsewhere."""
    losses = {2: 3.0, 4: 2.0, 6: 2.5, 8: 2.5, 10: 2.5, 12: 2.5}
    options: dict[str, Any] = {
        "eval_every": 2,
        "save_every": 4,
        "early_stopping": 2,
        "sample_tokens": 0,
        "layers": 1,
    }
    evaluations(monkeypatch, losses)
    straight = tiny(char_corpus.directory, tmp_path / "straight", **options)
    train(straight, quiet=True)
    cut = tiny(char_corpus.directory, tmp_path / "cut", **options)
    evaluate = Evaluator.evaluate

    def fails_at_4(evaluator: Evaluator) -> Evaluation:
        if (found := evaluate(evaluator)).loss == losses[4]:
            raise MemoryError
        return found

    with monkeypatch.context() as context:
        context.setattr(Evaluator, "evaluate", fails_at_4)
        with pytest.raises(MemoryError):
            train(cut, quiet=True)
    assert [row["step"] for row in validations(cut.output)] == [2]
    assert train(cut, quiet=True).step == 8
    assert validations(cut.output) == validations(straight.output)


def validations(run: str) -> list[Any]:
    """Steps and losses of a run's evaluations."""
    rows = [row for row in read_metrics(run) if row["kind"] == "validation"]
    return [{"step": row["step"], "loss": row["loss"]} for row in rows]
