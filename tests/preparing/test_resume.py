"""A prepare that stops goes on where it was: real processes, killed at any moment."""

import gzip
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpora import files, flip, text, write
from resuming import OPTIONS, start, wait_for_shards
from samples import json_lines
from terminal import ENVIRONMENT, textreel

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.preparing import journal


def kill_at_random_moments(
    sources: Path, output: Path, straight: dict[str, bytes], num_kills: int, seed: int
) -> int:
    source = random.Random(seed)
    killed = 0
    for _ in range(num_kills):
        process = start(sources, output, workers=source.choice([1, 2, 3]))
        wait_for_shards(output, process, source.randrange(len(straight)))
        time.sleep(source.random() * source.choice([0.05, 0.5]))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        if (output / "manifest.json").exists() and journal.begun(output) is None:
            # Complete; only the removal of the journal may have been cut short.
            shutil.rmtree(output / journal.FOLDER, ignore_errors=True)
            assert files(output) == straight
            shutil.rmtree(output)
    process = start(sources, output)
    assert process.wait() == 0, process.communicate()[1]
    process.communicate()
    assert files(output) == straight
    return killed


def test_killed_and_resumed_is_byte_identical(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    assert kill_at_random_moments(sources, tmp_path / "out", straight, 4, seed=1) > 0


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_killed_two_hundred_times(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    num_kills = 0
    for seed in itertools.count():
        num_kills += kill_at_random_moments(sources, tmp_path / "out", straight, 5, seed)
        shutil.rmtree(tmp_path / "out")
        if num_kills >= 200:
            return


def test_finished_shards_are_kept_and_workers_die_with_their_parent(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(sources, output)
    wait_for_shards(output, process, 10)
    process.kill()
    process.communicate()
    time.sleep(0.3)
    kept = {path.name: path.stat().st_mtime_ns for path in output.glob("*.tfrecord*")}
    time.sleep(0.3)
    assert kept == {path.name: path.stat().st_mtime_ns for path in output.glob("*.tfrecord*")}
    finished = {
        path.name.removesuffix(".json") for path in (output / journal.FOLDER).glob("*.json")
    }
    with pytest.raises(UserError, match=r"has no manifest\.json.*run the same command again"):
        open_corpus(output)

    damaged = sorted(kept.keys() & finished)[0]
    flip(output / damaged, 50)
    prepare([sources], output, PrepareOptions(**OPTIONS))
    assert files(output) == straight
    for name in kept.keys() & finished - {damaged}:
        assert (output / name).stat().st_mtime_ns == kept[name]


def test_a_killed_worker_is_replaced(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(sources, output)
    wait_for_shards(output, process, 5)
    # Workers of a process without threads are forked: there is no other child.
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert files(output) == straight


def test_a_full_disk(sources: Path, straight: dict[str, bytes], tmp_path: Path) -> None:
    """A file size limit stands for the disk: the shard's write fails half-way."""
    output = tmp_path / "out"
    program = f"""
import resource, signal, sys
from pipeline.cli import build_parser, main_with
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sys.argv = ["pipeline", "prepare", {str(sources)!r}, "--output", {str(output)!r}, "--workers=1",
            *{[f"--{name}={value}" for name, value in OPTIONS.items()]!r}]
main_with(build_parser)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert result.returncode == 1
    assert "textreel: error:" in result.stderr
    assert "file too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(output.glob("*.tfrecord*"))
    prepare([sources], output, PrepareOptions(**OPTIONS))
    assert files(output) == straight


@pytest.mark.parametrize("kind", ["rows", "compressed"])
def test_an_interrupted_prepare_of_all_splits_at_once_resumes(tmp_path: Path, kind: str) -> None:
    """Rows, and compressed documents that outweigh the smallest split."""
    if kind == "rows":
        json_lines(tmp_path / "in/x.jsonl", [text(2000, seed=seed) for seed in range(300)])
    for index in range(12 * (kind == "compressed")):
        write(tmp_path / f"in/{index}.gz", gzip.compress(text(100_000, seed=index).encode()))
    field = ["--text_field", "text"] if kind == "rows" else []
    prepare_once = ["prepare", "in", *field, "--shard_bytes", "10000", "--splits"]
    prepare_once += ["train=0.95,test=0.05", "--workers", "2", "--output"]
    assert textreel(*prepare_once, "whole", cwd=tmp_path).returncode == 0
    corpus = open_corpus(tmp_path / "whole")
    assert len(corpus.splits["train"].shards) == len(corpus.splits["test"].shards) >= 12
    command = [sys.executable, "-m", "pipeline", *prepare_once, "killed"]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("killed/.prepare/text-*.json")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert textreel(*prepare_once, "killed", cwd=tmp_path).returncode == 0
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
