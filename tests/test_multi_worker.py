"""Two real processes on loopback: the same training, exact resume, signals, lost workers."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from training import ROOT, assert_same_bits, checkpoint_arrays, read_events, tiny

from pipeline import Corpus, UserError
from trainer.hosts.agreement import Agreement
from trainer.hosts.environment import Hosts
from trainer.loop import train
from trainer.run.checkpoint import DIRECTORY, newest_checkpoint

FLAGS = ["--layers=1", "--units=8", "--embedding_dim=4", "--seq_len=16", "--batch_size=8"]
FLAGS += ["--sample_tokens=4", "--sample_temperatures=0.5", "--log_every=4", "--save_every=8"]

# The command, and then what this worker was fed: its rows of three batches from step 2 on.
TRACED = """
import sys
import numpy as np
import trainer.loop
from trainer import config, task
from trainer.steps import feed

kept = {}

def keep(strategy, corpus, config, *, start_step):
    kept.update(strategy=strategy, corpus=corpus, config=config)
    return feed.training_feed(strategy, corpus, config, start_step=start_step)

class Runner(trainer.loop._Run):
    def train(self):
        result = super().train()
        iterator = iter(feed.training_feed(**kept, start_step=2))
        batches = [strategy_rows(next(iterator)) for _ in range(3)]
        validation, count = feed.validation_feed(**kept)
        iterator = iter(validation)
        measured = [strategy_rows(next(iterator)) for _ in range(count)]
        traces = self._assembly.runner.run_steps.experimental_get_tracing_count()
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
trainer.loop._Run = Runner
trainer.loop.train(config.from_args(task.build_parser().parse_args(sys.argv[2:])))
"""


class Pair:
    """Two workers that run `python -m trainer.task`, or other code with the same flags."""

    def __init__(self, corpus: Corpus, run: Path, *flags: str, code: str | None = None) -> None:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        arguments = [f"--corpus={corpus.directory}", f"--output={run}", *FLAGS, *flags]
        self.fed = [run.parent / f"{run.name}-fed-{index}.npz" for index in range(2)]
        self.workers = []
        for index in range(2):
            command = ["-m", "trainer.task"] if code is None else ["-c", code, str(self.fed[index])]
            task = {"type": "worker", "index": index}
            description = json.dumps({"cluster": {"worker": addresses}, "task": task})
            paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
            self.workers.append(
                subprocess.Popen(
                    [sys.executable, *command, *arguments],
                    env={
                        # Without the log level, the command imports TensorFlow as for a user.
                        **{k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
                        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                        "TF_CONFIG": description,
                        "TMPDIR": str(run.parent),
                    },
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def end(self) -> list[tuple[int, str, str]]:
        """Waits, and returns each worker's exit code, stdout and stderr."""
        ended = []
        try:
            for worker in self.workers:
                out, err = worker.communicate(timeout=200)
                ended.append((worker.returncode, out, err))
        finally:
            for worker in self.workers:
                worker.kill()
        return ended


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for_checkpoint(run: Path, pair: Pair) -> None:
    deadline = time.monotonic() + 200
    while not (run / DIRECTORY / "checkpoint").exists() and time.monotonic() < deadline:
        assert all(worker.poll() is None for worker in pair.workers), pair.end()
        time.sleep(0.02)


def step_of(run: Path) -> int:
    path = newest_checkpoint(run)
    assert path is not None
    return int(path.rpartition("-")[2])


def single(corpus: Corpus, run: Path, **changes: Any) -> Any:
    """The configuration of `FLAGS` for this process alone."""
    options = {"layers": 1, "units": 8, "embedding_dim": 4, "sample_tokens": 4, "save_every": 8}
    return tiny(corpus.directory, run, **{"dropout": 0.0, **options, **changes})


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

    # Worker h got rows 4h … 4h + 3 of each batch; validation windows came once.
    fed = [dict(np.load(path)) for path in pair.fed]
    assert [int(rows["traces"]) for rows in fed] == [1, 1]
    windows = char_corpus.windows("train", seq_len=16, batch_size=8, seed=0, start_step=2)
    batches = list(windows.take(3).as_numpy_iterator())
    for place, name in enumerate(("inputs", "targets")):
        together = np.concatenate([rows[name] for rows in fed], axis=1)
        np.testing.assert_array_equal(together, [batch[place] for batch in batches])
    num_windows = char_corpus.num_windows("validation", seq_len=16)
    weights_of_rows = np.concatenate([rows["weights"] for rows in fed], axis=1).ravel()
    np.testing.assert_array_equal(weights_of_rows, np.arange(len(weights_of_rows)) < num_windows)
    measured = np.concatenate([rows["validation"] for rows in fed], axis=1)
    windows = char_corpus.windows("validation", seq_len=16, batch_size=1, seed=None)
    rows = [inputs[0] for inputs, _ in windows.take(num_windows).as_numpy_iterator()]
    np.testing.assert_array_equal(measured.reshape(-1, 16)[:num_windows], rows)

    # The first alone writes and prints; the other has left nothing behind.
    assert "validation at step 12" in out
    assert other_out == ""
    assert not [line for line in other_err.splitlines() if line.startswith("step ")]
    assert len(list((run / "events").glob("events.out.*"))) == 1
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


def test_one_host_agrees_with_itself_and_hosts_that_start_apart_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = tf.distribute.get_strategy()
    alone = Agreement(strategy, None)
    assert (alone.is_chief, alone.values(7), alone.largest(7)) == (True, [7], 7)
    alone.check_equal(7, "checkpoints")

    hosts = Hosts(addresses=("a:1", "b:2"), index=1, source="TF_CONFIG")
    second = Agreement(strategy, hosts)
    assert not second.is_chief
    monkeypatch.setattr(second, "values", lambda value: [6, value])
    second.check_equal(6, "checkpoints")
    with pytest.raises(UserError, match=r"different checkpoints in D: of steps 6, 0; it must be"):
        second.check_equal(0, "checkpoints in D")
    assert dataclasses.replace(hosts, index=0).is_chief
