"""trainer.loop: training, resuming bit for bit, what it writes, what it refuses."""

import os
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from corpora import make, text
from training import assert_same_bits, checkpoint_arrays, read_events, start_child, tiny

from pipeline import Corpus, UserError
from pipeline.cli import build_parser
from pipeline.preparing.vocabularies import load_vocabulary
from trainer.config import TrainConfig
from trainer.due import event_steps
from trainer.loop import train
from trainer.run.checkpoint import DIRECTORY

TRAIN = """
import sys
from corpora import make, text
from training import tiny
from trainer.loop import train
train(tiny(*sys.argv[1:], steps=3000, save_every=20, log_every=5), quiet=True)
"""


def test_killed_and_resumed_is_straight_bit_for_bit(char_corpus: Corpus, tmp_path: Path) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    newest = killed / DIRECTORY / "checkpoint"
    with start_child(TRAIN, char_corpus.directory, str(killed)) as child:
        deadline = time.monotonic() + 120
        while not newest.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        _, stderr = child.communicate()
    assert child.returncode == -signal.SIGKILL, stderr
    path = tf.train.latest_checkpoint(str(newest.parent))
    step = int(path.rpartition("-")[2])
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
        newest = stopped / DIRECTORY / "checkpoint"
        while not newest.exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(number)
        _, stderr = child.communicate()
    if number == signal.SIGTERM:
        assert child.returncode == code, stderr
    else:
        assert "KeyboardInterrupt" in stderr
    step = int(tf.train.latest_checkpoint(str(newest.parent)).rpartition("-")[2])
    assert 0 < step < 3000
    options: dict[str, Any] = {"steps": step + 10, "save_every": 1000}
    resumed = train(tiny(char_corpus.directory, stopped, **options), quiet=True)
    whole = train(tiny(char_corpus.directory, straight, **options), quiet=True)
    assert resumed.start_step == step
    assert_same_bits(checkpoint_arrays(resumed.checkpoint), checkpoint_arrays(whole.checkpoint))


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
        f"newest checkpoint: {result.checkpoint}\nnext:\n  textreel generate --run {run}\n"
        f"  textreel evaluate {run}\n  textreel export {run} --output EXPORT\n"
        f"  textreel curves {run} --output curves.png\n"
    )
    assert "step 4/150  loss 3." in err
    assert TrainConfig.from_json(run / "config.json") == config
    assert load_vocabulary(run).fingerprint == char_corpus.vocabulary.fingerprint
    assert not list(run.glob(".*"))

    again = train(config)
    out, _ = capfd.readouterr()
    assert f"{run} is finished: it has 150 steps behind it, --steps is 150" in out
    assert (again.step, again.start_step, again.loss) == (150, 150, None)
    assert again.evaluation == result.evaluation
    assert again.checkpoint == result.checkpoint


TRAIN_FIGURES = (
    "tokens",
    "seconds",
    "loss",
    "bits_per_byte",
    "tokens_per_second",
    "input_wait",
    "learning_rate",
    "gradient_norm",
    "skipped_steps",
    "memory_bytes",
)


def test_events_hold_curves_and_samples(char_corpus: Corpus, tmp_path: Path) -> None:
    changes = {"eval_every": 6, "sample_temperatures": (0.0, 1.5)}
    result = train(tiny(char_corpus.directory, tmp_path, **changes), quiet=True)
    events = read_events(tmp_path)
    assert set(events) == {
        *(f"train/{name}" for name in TRAIN_FIGURES),
        "validation/tokens",
        "validation/seconds",
        "validation/loss",
        "validation/perplexity",
        "validation/bits_per_byte",
        "sample/temperature_0",
        "sample/temperature_1.5",
    }
    assert list(events["train/loss"]) == [4, 8, 12]
    assert list(events["validation/loss"]) == [6, 12]
    assert result.evaluation is not None
    assert events["train/loss"][12] == pytest.approx(result.loss)
    assert events["validation/bits_per_byte"][12] == pytest.approx(result.evaluation.bits_per_byte)
    assert events["sample/temperature_0"][12].startswith(b"    ")


def test_options_change_what_is_trained(char_corpus: Corpus, tmp_path: Path) -> None:
    """Each of these gives another loss than the others at the same step."""
    changes: list[dict[str, Any]] = [
        {},
        {"layers": 1},
        {"model": "gru"},
        {"model": "transformer", "embedding_dim": None},
        {"model": "transformer", "embedding_dim": None, "heads": 2},
        {"units": 17},
        {"embedding_dim": 9},
        {"dropout": 0.0},
        {"seq_len": 15, "stride": 16},
        {"stride": 3},
        {"batch_size": 7},
        {"seed": 1},
        {"targets": "last"},
        {"learning_rate": 1e-2},
        {"optimizer": "rmsprop"},
        {"optimizer": "adamw", "weight_decay": 10.0},
        {"schedule": "cosine"},
        {"label_smoothing": 0.1},
        {"precision": "bfloat16"},
        {"train_split": "validation"},
    ]
    losses = []
    for index, change in enumerate(changes):
        options = {"steps": 3, "log_every": 3, "layers": 2, **change}
        config = tiny(char_corpus.directory, tmp_path / str(index), **options)
        losses.append(train(config, quiet=True).loss)
    assert len(set(losses)) == len(changes), losses


def test_event_steps_are_all_multiples_and_the_last() -> None:
    for log_every in (1, 2, 5):
        for eval_every in (0, 3, 4):
            for start in (0, 1, 6, 11):
                config = tiny("c", "r", log_every=log_every, eval_every=eval_every, save_every=7)
                due = [
                    step
                    for step in range(start + 1, 13)
                    if step % log_every == 0
                    or step % 7 == 0
                    or (eval_every and step % eval_every == 0)
                    or step == 12
                ]
                assert list(event_steps(config, start)) == due


def test_another_corpus_and_other_settings_are_refused_and_nothing_changes(
    char_corpus: Corpus, byte_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=2), quiet=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="this vocabulary is not the one the run was trained on"):
        train(tiny(byte_corpus.directory, tmp_path, steps=4), quiet=True)
    with pytest.raises(UserError, match="`units`: the run has 16, now 32; `seed`: the run has 0"):
        train(tiny(char_corpus.directory, tmp_path, steps=4, units=32, seed=5), quiet=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_split": "all"}, "has no split 'all', only train, validation; change"),
        ({"validation_split": "test", "eval_every": 1}, "turn evaluation off with --eval_every 0"),
        ({"seq_len": 10_000}, "one window needs 10001 in one shard; lower --seq_len"),
        ({"seq_len": 2000, "eval_every": 1}, "`validation_split`: the split 'validation' of"),
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


def test_outputs_that_cannot_work(char_corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"`output` .*file is or lies in a file"):
        train(tiny(char_corpus.directory, tmp_path / "file"), quiet=True)
    with pytest.raises(UserError, match=r"`output` .* is the corpus; name another directory"):
        train(tiny(char_corpus.directory, char_corpus.directory), quiet=True)


def test_an_output_under_something_that_takes_no_directories(char_corpus: Corpus) -> None:
    # /dev/fd takes none, not even from root, whom permissions do not stop.
    with pytest.raises(UserError, match=r"`output` /dev/fd/run cannot be written \("):
        train(tiny(char_corpus.directory, Path("/dev/fd/run")), quiet=True)


def test_a_file_system_that_refuses(
    char_corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UserError, match=r"`output` .* cannot be written \(no permission\)"):
        train(tiny(char_corpus.directory, tmp_path / "run"), quiet=True)


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
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("row ")]
    assert len(rows) == config.batch_size
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


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(20_000), record_tokens=1000)
    shard = tmp_path / "corpus/text-train.tfrecord-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[10_000] ^= 1
    shard.write_bytes(data)
    with pytest.raises(
        UserError, match=rf"{shard}: one of the records .* is missing or damaged.*repair"
    ):
        train(tiny(corpus.directory, tmp_path / "run"), quiet=True)
