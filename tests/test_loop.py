"""loop: training, resuming bit for bit, stopping, and what it says."""

import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from training import assert_same_bits, checkpoint_arrays, start_child, tiny

from pipeline import Corpus, UserError
from pipeline.vocabulary.loading import load_vocabulary
from trainer import loop
from trainer.cli import build_parser
from trainer.config import TrainConfig
from trainer.evaluation.evaluator import Evaluation, Evaluator
from trainer.loop import train
from trainer.reports.metrics import read_metrics
from trainer.run.checkpoint import DIRECTORY, find_checkpoint, newest_step
from trainer.run.checkpointer import Checkpointer

TRAIN = """
import sys
from corpora import make, text
from training import tiny
from trainer.loop import train
train(tiny(*sys.argv[1:], steps=3000, save_every=20, log_every=5), quiet=True)
"""


def test_killed_and_resumed_is_straight_bit_for_bit(char_corpus: Corpus, tmp_path: Path) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    with start_child(TRAIN, char_corpus.directory, str(killed)) as child:
        deadline = time.monotonic() + 120
        while not newest_step(killed) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        _, stderr = child.communicate()
    assert child.returncode == -signal.SIGKILL, stderr
    step = newest_step(killed)
    assert 0 < step < 3000

    # On to a step that is between the saves, evaluating on the way, in other strides.
    options: dict[str, Any] = {"steps": step + 33, "save_every": 50, "log_every": 7}
    resumed = train(tiny(char_corpus.directory, killed, eval_every=9, **options), quiet=True)
    whole = train(tiny(char_corpus.directory, straight, **options), quiet=True)
    assert (resumed.start_step, whole.start_step) == (step, 0)
    assert resumed.checkpoint.endswith(f"ckpt-{step + 33}")
    assert_same_bits(checkpoint_arrays(resumed.checkpoint), checkpoint_arrays(whole.checkpoint))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 1)])
def test_a_signal_saves_and_stops_and_the_run_goes_on(
    char_corpus: Corpus, tmp_path: Path, number: int, code: int
) -> None:
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"
    with start_child(TRAIN, char_corpus.directory, str(stopped)) as child:
        deadline = time.monotonic() + 120
        while not newest_step(stopped) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(number)
        _, stderr = child.communicate()
    if number == signal.SIGTERM:
        assert child.returncode == code, stderr
    else:
        assert "KeyboardInterrupt" in stderr
    step = newest_step(stopped)
    assert 0 < step < 3000
    options: dict[str, Any] = {"steps": step + 10, "save_every": 1000}
    resumed = train(tiny(char_corpus.directory, stopped, **options), quiet=True)
    whole = train(tiny(char_corpus.directory, straight, **options), quiet=True)
    assert resumed.start_step == step
    assert_same_bits(checkpoint_arrays(resumed.checkpoint), checkpoint_arrays(whole.checkpoint))


LONG = """
import os, signal, sys, threading, time
from training import tiny
from trainer import loop
from trainer.evaluation import evaluator
corpus, run, kind, number = sys.argv[1:]

def stop_soon():
    time.sleep(2)
    print(time.monotonic(), flush=True)
    os.kill(os.getpid(), int(number))

def then_stop(function):
    def wrapped(self, *arguments):
        threading.Thread(target=stop_soon, daemon=True).start()
        return function(self, *arguments)
    return wrapped

options = dict(steps=10**6, log_every=10**6, save_every=10**6, eval_every=0)
if kind == "steps":
    run_steps = loop._Loop._run_steps
    after = then_stop(run_steps)
    # Not of the first step, which a signal ends with the process.
    loop._Loop._run_steps = lambda loop, iterator, count: (
        (after if count > 1 else run_steps)(loop, iterator, count)
    )
else:
    options |= dict(eval_every=3, sample_tokens=10**8 if kind == "sample" else 0)
    name = "_sample" if kind == "sample" else "_evaluate"
    setattr(loop._Loop, name, then_stop(getattr(loop._Loop, name)))
if kind in ("evaluate", "last"):
    made = evaluator.validation_feed
    evaluator.validation_feed = lambda *arguments: (made(*arguments)[0], 10**9)
    if kind == "last":
        options["steps"] = 3
try:
    loop.train(tiny(corpus, run, **options), quiet=True)
finally:
    print(time.monotonic())
"""


@pytest.mark.parametrize(
    ("kind", "number", "step"),
    [
        ("steps", signal.SIGTERM, None),
        ("evaluate", signal.SIGUSR1, 3),
        ("last", signal.SIGTERM, 3),
        ("sample", signal.SIGTERM, 3),
    ],
)
def test_a_signal_is_obeyed_between_reports_and_while_evaluating_and_sampling(
    char_corpus: Corpus, tmp_path: Path, kind: str, number: int, step: int | None
) -> None:
    """None of these would end within an hour."""
    with start_child(LONG, char_corpus.directory, str(tmp_path), kind, str(number)) as child:
        stdout, stderr = child.communicate(timeout=300)
    assert child.returncode == 128 + number, stderr
    sent, ended = (float(line) for line in stdout.splitlines())
    assert ended - sent < 60  # compiling included, on a busy machine
    saved = newest_step(tmp_path)
    assert saved == step if step else 0 < saved < 10**6
    measured = [entry["kind"] == "validation" for entry in read_metrics(tmp_path)]
    assert measured.count(True) == (kind == "sample")  # the others are measured at the next start


def test_a_run_learns_and_says_what_it_made(
    char_corpus: Corpus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    config = tiny(
        char_corpus.directory, run, steps=150, eval_every=75, save_every=75, learning_rate=1e-2
    )
    result = train(config)
    out, err = capfd.readouterr()
    assert result.evaluation is not None
    assert result.loss is not None
    assert result.evaluation.loss < 2.5  # untrained: about ln(27) = 3.3
    assert f"validation at step 150: {result.evaluation}" in out
    assert out.count("--- sample at temperature 0.5\n") == 2
    assert f"\nbest validation: {result.evaluation.bits_per_byte:.4f} bits/byte, step 150\n" in out
    assert out.endswith(
        f"newest checkpoint: {result.checkpoint}\nnext:\n  textreel generate {run}\n"
        f"  textreel evaluate {run}\n  textreel export {run} -o EXPORT\n"
        f"  textreel curves {run} -o curves.png\n"
    )
    assert "step 4/150  loss 3." in err
    assert TrainConfig.from_toml(run / "run.toml") == config
    assert load_vocabulary(run).fingerprint == char_corpus.vocabulary.fingerprint
    assert not list(run.glob(".*"))

    again = train(config)
    out, _ = capfd.readouterr()
    assert f"{run} is finished: it has done 150 steps, --steps is 150" in out
    assert (again.step, again.start_step, again.loss) == (150, 150, None)
    assert again.evaluation == result.evaluation
    assert again.checkpoint == result.checkpoint


def test_a_loss_that_is_not_finite_stops_with_its_step(
    char_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tiny(char_corpus.directory, tmp_path, learning_rate=1e38, clip_norm=0.0, save_every=1)
    with pytest.raises(
        UserError, match=r"stopped being finite at step \d+; the checkpoint of"
    ) as error:
        train(config, quiet=True)
    # The command that it names shows the batch of that very step, counted from 0.
    found = re.search(r"at step (\d+);.*`textreel (trace .*?)`", str(error.value))
    assert found is not None
    arguments = build_parser().parse_args(shlex.split(found[2]))
    assert arguments.step == int(found[1]) - 1
    arguments.run(arguments)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("row ")]
    assert len(lines) == config.batch_size
    for path in (tmp_path / DIRECTORY).glob("*.index"):
        for name, value in checkpoint_arrays(str(path.with_suffix(""))).items():
            if name.startswith("variables/"):
                assert not tf.reduce_any(tf.math.is_nan(tf.cast(value, tf.float32))), name


def test_interrupted_says_where_it_resumes(
    char_corpus: Corpus,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: Any, step: int, **__: Any) -> None:
        if step == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr("trainer.reports.reports.EventWriter.scalar", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(char_corpus.directory, tmp_path))
    assert f"the same command resumes {tmp_path} from step 6" in capsys.readouterr().out


def evaluations(monkeypatch: pytest.MonkeyPatch, losses: dict[int, float]) -> None:
    """Lets the evaluation at each step find a given loss."""
    steps: list[int] = []
    evaluate = loop._Loop._evaluate

    def remember(running: Any) -> bool:
        steps.append(running._step)
        return evaluate(running)

    def found(_: Evaluator) -> Evaluation:
        return Evaluation.from_loss(losses[steps[-1]], num_tokens=1, text_bytes=1)

    monkeypatch.setattr(loop._Loop, "_evaluate", remember)
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


@pytest.mark.parametrize("cut_off", ["measuring", "before the best is kept", "after that"])
def test_an_evaluation_that_was_cut_off_is_done_by_the_next_start(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut_off: str
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
    evaluate, save_best = Evaluator.evaluate, Checkpointer.save_best

    def measured(evaluator: Evaluator) -> Evaluation:
        if (found := evaluate(evaluator)).loss == losses[4] and cut_off == "measuring":
            raise MemoryError
        return found

    def kept(checkpointer: Checkpointer, step: int, *arguments: Any) -> bool:
        if step == 4 and cut_off == "before the best is kept":
            raise MemoryError
        is_best = save_best(checkpointer, step, *arguments)
        if step == 4:
            raise MemoryError
        return is_best

    with monkeypatch.context() as context:
        context.setattr(Evaluator, "evaluate", measured)
        context.setattr(Checkpointer, "save_best", kept)
        with pytest.raises(MemoryError):
            train(cut, quiet=True)
    assert [entry["step"] for entry in validations(cut.output)] == [2]
    assert train(cut, quiet=True).step == 8
    assert validations(cut.output) == validations(straight.output)
    for config in (cut, straight):
        assert find_checkpoint(config.output, "best").step == 4


def validations(run: str) -> list[Any]:
    """Steps and losses of a run's evaluations."""
    entries = [entry for entry in read_metrics(run) if entry["kind"] == "validation"]
    return [{"step": entry["step"], "loss": entry["loss"]} for entry in entries]
