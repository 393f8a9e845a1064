"""The Beam engine: the same bytes and the same errors as the local one, on several runners."""

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import clusters
import pytest
import tasks
from corpora import files, text, write
from terminal import ENVIRONMENT, ROOT, textreel, textreel_without

from pipeline import OptionError, PrepareOptions, UserError, prepare
from pipeline.preparing import shards
from pipeline.preparing.engines import Advance, Engine, beam, local
from pipeline.preparing.shards import ShardTask

# DirectRunner would look for Prism, a runner of its own, on the net.
DIRECT = ("--runner=DirectRunner", "--prism_location=/none")
MULTI_PROCESSING = (*DIRECT, "--direct_running_mode=multi_processing", "--direct_num_workers=2")
CAMPAIGN = pytest.mark.campaign


def done(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """A command that succeeds."""
    result = textreel(*arguments, **options)
    assert result.returncode == 0, result.stderr
    return result


def make_sources(folder: Path, num_characters: int = 4000) -> Path:
    for index in range(12):
        write(folder / f"{index % 3}/{index}.txt", text(50 + 37 * index, seed=index))
    write(folder / "large file.txt", text(num_characters, seed=99))
    return folder


def engine(folder: Path, *options: str) -> Engine:
    return functools.partial(beam.run, options=options or DIRECT, folder=folder)


@pytest.mark.parametrize(
    ("vocabulary", "options"),
    [
        pytest.param("byte", DIRECT, id="byte in memory"),
        pytest.param("char", DIRECT, id="char in memory"),
        pytest.param("char", MULTI_PROCESSING, id="char in processes"),
        pytest.param("byte", MULTI_PROCESSING, id="byte in processes", marks=CAMPAIGN),
    ],
)
def test_the_bytes_are_those_of_the_local_engine(
    tmp_path: Path, vocabulary: str, options: tuple[str, ...]
) -> None:
    sources = make_sources(tmp_path / "in")
    arguments = ("--vocabulary", vocabulary, "--shard_bytes", 1000, "--record_tokens", 100)
    done("prepare", sources, "--output", tmp_path / "local", *arguments)
    result = done(
        "prepare", "in", "--output", "beam", *arguments, "--engine", "beam", "--", *options,
        cwd=tmp_path,
    )  # fmt: skip
    expected = files(tmp_path / "local")
    assert len(expected) > 5
    assert files(tmp_path / "beam") == expected
    assert "13 sources" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beam", "in", "local"]


def test_more_tasks_than_a_chunk_come_back_in_order(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in", 8000)
    options = PrepareOptions(shard_bytes=64, record_tokens=10)
    advanced: list[int] = []
    numbers = list(range(150))
    squares = engine(tmp_path)(tasks.square, numbers, advance=advanced.append)
    assert squares == [n * n for n in numbers]
    assert sum(advanced) == sum(numbers)
    prepare([sources], tmp_path / "local", options, workers=2)
    prepare([sources], tmp_path / "beam", options, engine=engine(tmp_path))
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_tasks_and_results_go_to_the_temporary_location(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    seen = beam.run(
        tasks.listing, [tmp_path / "shared"], advance=ignore, folder="/none",
        options=[*DIRECT, f"--temp_location={tmp_path / 'shared'}"],
    )  # fmt: skip
    assert len(seen[0]) == 1
    assert seen[0][0].startswith(".textreel-"), "hidden: no source"
    assert list((tmp_path / "shared").iterdir()) == []


def ignore(num_bytes: int) -> None:
    pass


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (UserError("`x` is wrong: \n é"), DIRECT),
        (OSError(28, "No space", "f"), DIRECT),
        (OSError(28, "No space", "f"), MULTI_PROCESSING),
        pytest.param(UserError("`x` is wrong: \n é"), MULTI_PROCESSING, marks=CAMPAIGN),
    ],
)
def test_an_error_arrives_as_it_was_raised(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
    for run in (
        functools.partial(local.run, workers=2),
        engine(tmp_path, *options),
    ):
        with pytest.raises(type(error)) as caught:
            run(tasks.fail, [None, error, None], advance=ignore)
        assert str(caught.value) == str(error)
    assert list(tmp_path.iterdir()) == []


def test_nothing_more_is_begun_after_an_error(tmp_path: Path) -> None:
    marks = [(tmp_path / str(index), index == 3) for index in range(300)]
    with pytest.raises(UserError, match="the fourth"):
        engine(tmp_path)(tasks.mark, marks, advance=ignore)
    assert len(list(tmp_path.iterdir())) < 300


def test_a_defect_keeps_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="division by zero"):
        engine(tmp_path)(tasks.divide, [0], advance=ignore)
    assert list(tmp_path.iterdir()) == []


def test_results_that_do_not_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beam, "_run_stored", _lose)
    with pytest.raises(UserError, match=r"left no result in .*--temp_location"):
        engine(tmp_path)(tasks.square, [1], advance=ignore)


def _lose(position: tuple[int, int, int], scratch: str) -> None:
    pass


def test_it_goes_on_where_another_engine_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = make_sources(tmp_path / "in")
    options = PrepareOptions(vocabulary="char", shard_bytes=1000, record_tokens=100)
    prepare([sources], tmp_path / "whole", options)
    original, count = shards.write_shard, iter(range(1000))

    def failing(task: ShardTask, advance: Advance, **others: Any) -> Any:
        if next(count) == 3:
            raise OSError(28, "No space left on device")
        return original(task, advance, **others)

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.preparing.prepare.write_shard", failing)
        with pytest.raises(OSError, match="No space"):
            prepare([sources], tmp_path / "out", options, workers=1)
    kept = next((tmp_path / "out").glob("*.tfrecord-*"))
    written = kept.stat().st_mtime_ns
    prepare([sources], tmp_path / "out", options, engine=engine(tmp_path))
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--engine", "beam", "--", "--runner=Nowhere"], 2, "Unexpected pipeline runner: Nowhere"),
        (["--engine", "beam", "--", "--runnner=DirectRunner"], 2, "no option --runnner"),
        (["--engine", "beam", "--", "--direct_num_workers=x"], 2, "refuses `--direct_num_workers"),
        (["--engine", "beam", "--", "--runner=a.b.C"], 2, "No module named 'a'"),
        (["--engine", "beam", "--workers", "2"], 2, "error: --workers has no effect"),
        (["--", "--runner=DirectRunner"], 2, "only `prepare --engine beam` takes"),
        (["--engine", "spark"], 2, "--engine must be one of local, beam, got 'spark'"),
        (
            ["--engine", "beam", "--vocabulary", "char", "--", *DIRECT],
            1,
            "TEXT is not UTF-8 at byte 5",
        ),
        pytest.param(
            ["--engine", "beam", "--vocabulary", "char", "--", *MULTI_PROCESSING],
            1,
            "TEXT is not UTF-8 at byte 5",
            marks=CAMPAIGN,
        ),
    ],
)
def test_each_mistake_has_a_message_and_no_traceback(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    write(tmp_path / "TEXT", b"text \xff\xff" + b"x" * 100)
    result = textreel("prepare", "TEXT", "--output", "OUT", *arguments, cwd=tmp_path)
    assert result.returncode == code, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["TEXT"]


def test_without_beam_it_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", "text")
    arguments = ("prepare", "TEXT", "--output", "OUT", "--engine", "beam")
    result = textreel_without("apache_beam", *arguments, cwd=tmp_path)
    assert result.returncode == 1
    assert 'pip install "textreel[beam]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_workers_and_engine_exclude_each_other(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "text")
    with pytest.raises(OptionError, match="`workers` has no effect"):
        prepare(
            [source], tmp_path / "out", engine=engine(tmp_path), workers=local.default_workers()
        )


def test_a_job_service_with_an_external_worker_pool(tmp_path: Path) -> None:
    sources = make_sources(tmp_path / "in")
    arguments = ("--vocabulary", "char", "--shard_bytes", 1000, "--record_tokens", 100)
    done("prepare", sources, "--output", tmp_path / "local", *arguments)
    with clusters.job_service() as job_service, clusters.worker_pool(tmp_path) as pool:
        runner = (*job_service, *pool.options)
        beam_arguments = (*arguments, "--engine", "beam", "--", *runner)
        done("prepare", sources, "--output", tmp_path / "beam", *beam_arguments)
        write(tmp_path / "bad", b"text \xff" + b"x" * 100)
        result = textreel("prepare", tmp_path / "bad", "--output", tmp_path / "no", *beam_arguments)
    assert files(tmp_path / "beam") == files(tmp_path / "local")
    assert result.returncode == 1
    assert "bad is not UTF-8 at byte 5" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(False, id="all live", marks=CAMPAIGN),
        pytest.param(True, id="one worker killed"),
    ],
)
def test_dask_with_two_workers(tmp_path: Path, kill: bool) -> None:
    sources = make_sources(tmp_path / "in", 300_000)
    arguments = ("--vocabulary", "char", "--shard_bytes", 1000, "--record_tokens", 100)
    done("prepare", sources, "--output", tmp_path / "local", *arguments)
    expected = files(tmp_path / "local")
    with (
        clusters.dask_scheduler(tmp_path) as scheduler,
        clusters.dask_worker(scheduler, tmp_path) as victim,
        clusters.dask_worker(scheduler, tmp_path),
    ):
        command = (
            sys.executable, "-m", "pipeline", "prepare", sources, "--output", tmp_path / "beam",
            *arguments, "--engine", "beam", "--", *scheduler.options,
        )  # fmt: skip
        run = subprocess.Popen(
            [*map(str, command)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        with run:
            if kill:
                found = (tmp_path / "beam").glob
                clusters.wait_for(lambda: len(list(found("*.tfrecord-*"))) > len(expected) // 10)
                victim.send_signal(signal.SIGKILL)
                assert len(list(found("*.tfrecord-*"))) < len(expected) // 2
            _, errors = run.communicate(timeout=200)
        assert run.returncode == 0, errors
        assert (victim.poll() is not None) == kill
    assert files(tmp_path / "beam") == expected
