"""Two real processes on loopback: the same training, exact resume, signals, lost workers."""

import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training import assert_same_bits, checkpoint_arrays, read_events
from workers import Pair, single, step_of, wait_for_checkpoint

from pipeline import Corpus
from pipeline.reading.batches import Batches
from trainer.loop import train
from trainer.run.checkpoint import newest_checkpoint

# The command, and then what this worker was fed: its rows of three batches from step 2 on.
TRACED = """
import sys
import numpy as np
import trainer.loop
from trainer import task
from trainer.steps import feed

kept = {}

def keep(strategy, corpus, config, *, start_step):
    kept.update(strategy=strategy, corpus=corpus, config=config)
    return feed.training_feed(strategy, corpus, config, start_step=start_step)

class Loop(trainer.loop._Loop):
    def train(self):
        result = super().train()
        iterator = iter(feed.training_feed(**kept, start_step=2))
        batches = [strategy_rows(next(iterator)) for _ in range(3)]
        validation, count = feed.validation_feed(**kept)
        iterator = iter(validation)
        measured = [strategy_rows(next(iterator)) for _ in range(count)]
        traces = self._run.assembly.runner.run_steps.experimental_get_tracing_count()
        np.savez(
            sys.argv[1],
            inputs=[batch[0] for batch in batches],
            targets=[batch[1] for batch in batches],
            validation=[batch[0] for batch in measured],
            weights=[batch[2] for batch in measured],
            traces=traces,
        )
        return result

def strategy_rows(batch):
    return [kept['strategy'].experimental_local_results(part)[0].numpy() for part in batch]

trainer.loop.training_feed = keep
trainer.loop._Loop = Loop
arguments = task.build_parser().parse_args(sys.argv[2:])
trainer.loop.train(task.config_of(arguments))
"""


def test_two_workers_train_what_one_does_each_on_its_rows(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    run = tmp_path / "two"
    pair = Pair(char_corpus, run, "--steps=12", "--eval_every=6", "--clip_norm=0.05", code=TRACED)
    (code, out, err), (other_code, other_out, other_err) = pair.end()
    assert (code, other_code) == (0, 0), err + other_err
    one = train(single(char_corpus, tmp_path / "one", eval_every=6, clip_norm=0.05), quiet=True)

    # The same losses, and nearly the same weights.
    events, expected = read_events(run), read_events(tmp_path / "one")
    for tag in ("train/loss", "validation/loss"):
        assert list(events[tag]) == list(expected[tag])
        for step, loss in expected[tag].items():
            assert events[tag][step] == pytest.approx(loss, rel=1e-5), (tag, step)
    arrays, weights = checkpoint_arrays(newest_checkpoint(run)), checkpoint_arrays(one.checkpoint)
    assert arrays.keys() == weights.keys()
    for name in weights:
        if name.startswith("variables/"):
            np.testing.assert_allclose(arrays[name], weights[name], atol=2e-4, err_msg=name)

    # Each worker got its rows of each batch; validation windows came once.
    fed = [dict(np.load(path)) for path in pair.fed]
    assert [int(rows["traces"]) for rows in fed] == [1, 1]
    windows = char_corpus.windows("train", seq_len=16, batch_size=8, seed=0, start_step=2)
    batches = list(windows.take(3).as_numpy_iterator())
    for index, name in enumerate(("inputs", "targets")):
        for host, rows in enumerate(fed):
            own = Batches(seq_len=16, batch_size=8, host_index=host, host_count=2).places
            np.testing.assert_array_equal(rows[name], [batch[index][own] for batch in batches])
    num_windows = char_corpus.num_windows("validation", seq_len=16)
    weights_of_rows = np.concatenate([rows["weights"] for rows in fed], axis=1).reshape(-1, 16)
    counts = np.arange(len(weights_of_rows)) < num_windows
    np.testing.assert_array_equal(weights_of_rows, np.tile(counts[:, np.newaxis], 16))
    measured = np.concatenate([rows["validation"] for rows in fed], axis=1)
    windows = char_corpus.windows("validation", seq_len=16, batch_size=1, seed=None)
    rows = [inputs[0] for inputs, _ in windows.take(num_windows).as_numpy_iterator()]
    np.testing.assert_array_equal(measured.reshape(-1, 16)[:num_windows], rows)

    # The first alone writes and prints; the other has left nothing behind.
    assert "validation at step 12" in out
    assert other_out == ""
    assert not [line for line in other_err.splitlines() if line.startswith("step ")]
    assert len(list((run / "events/train").glob("events.out.*"))) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("one", "two", "two-fed-0.npz", "two-fed-1.npz")
    ]


def test_one_of_two_killed_and_both_restarted_is_straight_bit_for_bit(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    pair = Pair(char_corpus, killed, "--dropout=0.3", "--steps=1000000", "--eval_every=0")
    wait_for_checkpoint(killed, pair)
    pair.workers[0].send_signal(signal.SIGKILL)
    (code, _, _), (other_code, _, other_err) = pair.end()
    step = step_of(killed)
    assert (code, other_code) == (-signal.SIGKILL, 138), other_err
    assert "Traceback" not in other_err
    assert (
        "textreel: error: another worker was lost; the same command, on all 2 workers or another "
        f"number of them, resumes {killed} from step {step}\n"
    ) in other_err

    options = ["--dropout=0.3", f"--steps={step + 10}", "--eval_every=5"]
    for run in (killed, straight):
        for worker_code, _, err in Pair(char_corpus, run, *options).end():
            assert worker_code == 0, err
    assert step_of(killed) == step + 10
    assert_same_bits(
        checkpoint_arrays(newest_checkpoint(killed)), checkpoint_arrays(newest_checkpoint(straight))
    )


def test_a_signal_to_one_saves_and_stops_both_and_one_alone_goes_on(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    # Nothing but the signal, and the clock before it, asks for a save.
    flags = ["--steps=1000000", "--eval_every=0", "--save_every=0.1s"]
    pair = Pair(char_corpus, stopped, *flags)
    wait_for_checkpoint(stopped, pair)
    pair.workers[1].send_signal(signal.SIGTERM)
    (code, out, err), (other_code, other_out, other_err) = pair.end()
    step = step_of(stopped)
    assert (code, other_code) == (143, 143), err + other_err
    assert f"the same command resumes {stopped} from step {step}\n" in out
    assert (other_out, "Traceback" in err + other_err) == ("", False)

    resumed = train(single(char_corpus, stopped, steps=step + 8), quiet=True)
    whole = train(single(char_corpus, tmp_path / "whole", steps=step + 8), quiet=True)
    assert resumed.start_step == step
    assert resumed.loss == pytest.approx(whole.loss, rel=1e-3)


def test_a_signal_to_one_ends_the_compiled_steps_of_both(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    # The first step, which compiles, is saved; nothing else is due before the last one.
    flags = ["--steps=1000000", "--log_every=1000000", "--save_every=0.1s", "--eval_every=0"]
    pair = Pair(char_corpus, tmp_path / "run", *flags)
    wait_for_checkpoint(tmp_path / "run", pair)
    assert step_of(tmp_path / "run") == 1
    time.sleep(2)
    pair.workers[1].send_signal(signal.SIGTERM)
    (code, _, err), (other_code, _, other_err) = pair.end()
    assert (code, other_code) == (143, 143), err + other_err
    assert 1 < step_of(tmp_path / "run") < 1_000_000


def test_two_hosts_carry_lanes_on_as_one_does(lane_corpus: Corpus, tmp_path: Path) -> None:
    """One process makes the first 8 steps, two the rest; each host gives its rows to a save."""
    run, flags = tmp_path / "both", ["--lanes", "--eval_every=4", "--precision=bfloat16"]
    options: dict[str, Any] = {"lanes": True, "precision": "bfloat16", "log_every": 8}
    options["eval_every"] = 4  # in the midst of what the hosts train as well
    train(single(lane_corpus, run, steps=8, **options), quiet=True)
    for code, _, err in Pair(lane_corpus, run, *flags, "--steps=16").end():
        assert code == 0, err
    one = train(single(lane_corpus, tmp_path / "one", steps=16, **options), quiet=True)
    first, second = checkpoint_arrays(one.checkpoint), checkpoint_arrays(newest_checkpoint(run))
    states = [name for name in first if name.startswith("lanes/")]
    assert [first[name].shape for name in states] == [(8, 8), (8, 8)]
    for name in states:
        np.testing.assert_allclose(second[name], first[name], atol=2e-2, err_msg=name)
        assert np.abs(first[name]).max() > 0.05
    measured, expected = (read_events(path)["validation/loss"] for path in (run, tmp_path / "one"))
    assert list(measured) == list(expected) == [4, 8, 12, 16]
    assert list(measured.values()) == pytest.approx(list(expected.values()), rel=1e-2)


def test_workers_that_differ_or_do_not_come_are_named(char_corpus: Corpus, tmp_path: Path) -> None:
    flags = ["--steps=8", "--eval_every=0", "--startup_timeout=2s"]
    for code, _, err in Pair(
        char_corpus, tmp_path / "apart", *flags[:2], last=("--log_every=7",)
    ).end():
        assert (code, "Traceback" in err) == (1, False), err
        assert "its --log_every is 7, that of worker 0 4. Start all with the same flags" in err
    ((code, _, err),) = Pair(char_corpus, tmp_path / "alone", *flags, last=None).end()
    assert (code, "Traceback" in err) == (138, False), err
    assert "textreel: error: worker 1 (127.0.0.1:" in err
    assert not list(tmp_path.glob("*/checkpoints/*"))
