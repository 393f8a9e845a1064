"""A prepare that stops goes on where it was: real processes, killed at any moment."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from corpora import files, flip, text, write
from samples import json_lines
from terminal import ENVIRONMENT, run_program, textreel

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.preparing import journal, shards
from pipeline.preparing.engines import Advance
from pipeline.preparing.journal import WrittenShard
from pipeline.preparing.shards import ShardTask

OPTIONS: dict[str, Any] = {"vocabulary": "char", "shard_bytes": 20_000, "record_tokens": 1000}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    write(folder / "large.txt", text(1_500_000))
    for index in range(100):
        write(folder / f"{index}.txt", text(3000, seed=index))
    return folder


@pytest.fixture(scope="module")
def straight(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a prepare that never stopped."""
    output = tmp_path_factory.mktemp("straight") / "out"
    prepare([sources], output, PrepareOptions(**OPTIONS))
    return files(output)


def start(sources: Path, output: Path, workers: int = 2) -> "subprocess.Popen[str]":
    """Starts `textreel prepare` as a child process, in a session of its own."""
    command: list[Any] = [sys.executable, "-m", "pipeline", "prepare", sources]
    command += ["--output", output]
    command += [f"--{name}={value}" for name, value in OPTIONS.items()] + [f"--workers={workers}"]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def num_finished(output: Path) -> int:
    return len(list((output / journal.FOLDER).glob("*tfrecord*.json")))


def wait_for_shards(output: Path, process: "subprocess.Popen[str]", number: int) -> None:
    while num_finished(output) < number and process.poll() is None:
        time.sleep(0.005)


def kill_at_random_moments(
    sources: Path, output: Path, straight: dict[str, bytes], num_kills: int, seed: int
) -> int:
    source = random.Random(seed)
    killed = 0
    for _ in range(num_kills):
        process = start(sources, output, workers=source.choice([1, 2, 3]))
        wait_for_shards(output, process, source.randrange(1, len(straight)))
        time.sleep(source.random() * 0.05)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        if (output / "manifest.json").exists() and not journal.has_plan(output):
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
@pytest.mark.timeout(1800)
def test_killed_at_least_thirty_times(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    kills = [
        kill_at_random_moments(sources, tmp_path / str(seed), straight, 4, seed)
        for seed in range(12)
    ]
    assert sum(kills) >= 30


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


def test_the_second_prepare_says_who_holds_the_directory(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(sources, output)
    wait_for_shards(output, process, 3)
    process.send_signal(signal.SIGSTOP)  # so that it cannot end meanwhile
    for overwrite in (False, True):
        with pytest.raises(UserError, match=rf"is being prepared by process {process.pid} on"):
            prepare([sources], output, PrepareOptions(**OPTIONS), overwrite=overwrite)
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    process.communicate()
    assert files(output) == straight


def stop_after(num_shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `write_shard` fail as on a full disk, in this process, after some shards."""
    original, count = shards.write_shard, iter(range(10**6))

    def failing(task: ShardTask, advance: Advance) -> Any:
        if next(count) >= num_shards:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(task.paths))
        return original(task, advance)

    monkeypatch.setattr("pipeline.preparing.prepare.write_shard", failing)


def unfinished(
    sources: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> None:
    with monkeypatch.context() as context:
        stop_after(3, context)
        with pytest.raises(OSError, match="No space left"):
            prepare([sources], output, PrepareOptions(**{**OPTIONS, **options}), workers=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_bytes": 10_000}, "`shard_bytes` was 20000, now 10000"),
        ({"vocabulary": "byte"}, "`vocabulary` was char, now byte"),
        ({"splits": {"train": 1.0}}, "`splits` was"),
    ],
)
def test_other_options_are_refused(
    sources: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    output = tmp_path / "out"
    unfinished(sources, output, monkeypatch)
    before = files_below(output)
    with pytest.raises(UserError, match=message):
        prepare([sources], output, PrepareOptions(**{**OPTIONS, **options}))
    assert files_below(output) == before


def files_below(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_changed_sources_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    for name in "abc":
        write(folder / name, text(30_000))
    unfinished(folder, output, monkeypatch)
    write(folder / "b", text(30_000, seed=5))
    os.utime(folder / "b", (0, 0))
    with pytest.raises(UserError, match="source b has changed since"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    write(folder / "d", "x")
    (folder / "b").unlink()
    with pytest.raises(UserError, match="source b is missing now"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    write(folder / "b", "x")
    with pytest.raises(UserError, match="source b has changed since"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    prepare([folder], output, PrepareOptions(**OPTIONS), overwrite=True)
    prepare([folder], tmp_path / "fresh", PrepareOptions(**OPTIONS))
    assert files(output) == files(tmp_path / "fresh")


def test_the_vocabulary_is_not_counted_again(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(sources, tmp_path / "out", monkeypatch)
    monkeypatch.setattr("pipeline.preparing.prepare.make_vocabulary", None)
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


def test_stopped_between_manifest_and_end(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as context:
        context.setattr(journal, "end", lambda directory: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert open_corpus(tmp_path / "out").splits
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


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
    assert "File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(output.glob("*.tfrecord*"))
    prepare([sources], output, PrepareOptions(**OPTIONS))
    assert files(output) == straight


def test_a_damaged_journal_entry_is_as_good_as_none(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(sources, tmp_path / "out", monkeypatch)
    entries = sorted((tmp_path / "out" / journal.FOLDER).glob("*tfrecord*.json"))
    entries[0].write_text("")
    entries[1].write_text(json.dumps({"sha256": "x"}))
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


def test_an_interrupted_prepare_of_rows_resumes(tmp_path: Path) -> None:
    json_lines(tmp_path / "x.jsonl", [text(2000, seed=seed) for seed in range(300)])
    arguments = ["prepare", "x.jsonl", "--text_field", "text", "--shard_bytes", "10000"]
    prepare_once = [*arguments, "--splits", "train=0.5,test=0.5", "--workers", "2", "--output"]
    assert textreel(*prepare_once, "whole", cwd=tmp_path).returncode == 0
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


def test_an_entry_vouches_for_the_file_that_it_was_written_for(tmp_path: Path) -> None:
    path = write(tmp_path / "shard", b"content")
    assert journal.finished(str(path)) is None
    written = WrittenShard(
        num_tokens=7,
        num_records=1,
        num_bytes=7,
        sha256="ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73",
        num_text_bytes=5,
        documents=(1, 0, 2),
    )
    (tmp_path / journal.FOLDER).mkdir()
    journal.record(str(path), written)
    assert journal.finished(str(path)) == written
    flip(path, 0)
    assert journal.finished(str(path)) is None
    path.unlink()
    assert journal.finished(str(path)) is None


def test_leftovers_of_other_processes_go_and_own_ones_stay(tmp_path: Path) -> None:
    own = Path(journal.temporary_path(str(tmp_path / "shard")))
    own.touch()
    other = write(tmp_path / journal.FOLDER / "shard.elsewhere-1-2.incomplete", "x")
    with journal.locked(tmp_path):
        assert own.exists()
        assert not other.exists()
        with journal.locked(tmp_path):  # the same process may enter again
            pass


def test_no_other_process_enters(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from pipeline.errors import UserError
from pipeline.preparing import journal
try:
    with journal.locked(Path({str(tmp_path)!r})):
        print("entered")
except UserError as error:
    print(error)
"""
    with journal.locked(tmp_path):
        assert f"is being prepared by process {os.getpid()} on " in run_program(program)
    assert run_program(program) == "entered\n"
