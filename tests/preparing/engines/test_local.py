"""Processes of this machine: how they start, what they return, and those that die."""

import gc
import multiprocessing
import random
import threading
import time
from pathlib import Path

import pytest
import tasks
from terminal import run_program

from pipeline import OptionError, UserError
from pipeline.preparing.engines import local

FORKED = "import os, pipeline.preparing.engines.local; os.fork() or os._exit(0); os.wait()"
LOADED = "import pipeline.preparing.engines.local, gigatoken, tokenizers as t"
THREADS = f"{LOADED}; t.Tokenizer(t.models.BPE()).encode_batch(['a', 'b'])"
ASK = "from pipeline.preparing.engines import local; print(local._start_method())"


@pytest.mark.skipif("sys.platform != 'linux'", reason="forks on Linux alone")
@pytest.mark.parametrize(
    ("before", "method"),
    [
        ("", "fork"),
        ("import pipeline.cli", "fork"),
        ("import tokenizers", "spawn"),
        (LOADED, "fork"),
        (FORKED, "fork"),
        (THREADS, "spawn"),
        ("import pyarrow", "spawn"),
        ("import threading; threading.Timer(1, print).start()", "spawn"),
    ],
)
def test_workers_are_forked_where_nothing_runs_beside(before: str, method: str) -> None:
    assert run_program(f"{before}\n{ASK}").split() == [method]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_results_are_the_same_however_workers_start(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_start_method", lambda: method)
    done: list[int] = []
    results = local.run(tasks.double, list(range(1, 9)), workers=2, advance=done.append)
    assert [result for result, _ in results] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert threading.get_native_id() not in {thread for _, thread in results}
    assert sum(done) == 36


@pytest.mark.skipif("sys.platform != 'linux'", reason="forks on Linux alone")
def test_collections_of_workers_leave_what_they_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would write into every object, and so copy its page: 30 MB a worker."""
    monkeypatch.setattr(local, "_start_method", lambda: "fork")
    for count in local.run(tasks.frozen, [1, 2], workers=2, advance=lambda _: None):
        assert count > 10_000
    assert gc.get_freeze_count() == 0


def test_one_worker_or_one_task_needs_no_process() -> None:
    done: list[int] = []
    for numbers, workers in (([1, 2, 3], 1), ([4], 5), ([], 2)):
        results = local.run(tasks.double, numbers, workers=workers, advance=done.append)
        assert results == [(2 * number, threading.get_native_id()) for number in numbers]
    assert done == [1, 2, 3, 4]


def test_a_task_runs_again_where_its_worker_died(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    results = local.run(tasks.die_once, paths, workers=2, advance=lambda num_bytes: None)
    assert len(results) == 3
    assert all(path.exists() for path in paths)


def test_workers_that_die_always_are_given_up() -> None:
    with pytest.raises(UserError, match=r"worker processes die before .*fewer `--workers`"):
        local.run(tasks.die, [1, 2], workers=2, advance=lambda num_bytes: None)


def test_workers_must_be_positive() -> None:
    assert local.checked_workers(None) == local.default_workers() >= 1
    assert local.checked_workers(3) == 3
    with pytest.raises(OptionError, match="`workers` must be an integer of at least 1, got 0"):
        local.checked_workers(0)


def test_a_worker_that_is_killed_at_any_moment_stops_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is nothing that it could hold: neither the counter of bytes nor a queue."""
    monkeypatch.setattr(local, "_MAX_DEATHS", 10_000)
    monkeypatch.setattr(local, "_start_method", lambda: "fork")  # they start faster than they die
    ended = threading.Event()

    def kill() -> None:
        generator = random.Random(3)
        while not ended.wait(generator.uniform(0.05, 0.2)):
            children = multiprocessing.active_children()
            if children:
                generator.choice(children).kill()

    killer = threading.Thread(target=kill)
    killer.start()
    done: list[int] = []
    try:
        results = local.run(tasks.tell_often, list(range(12)), workers=4, advance=done.append)
    finally:
        ended.set()
        killer.join()
    assert results == list(range(12))
    assert sum(done) >= 12 * tasks.TOLD


def test_an_error_ends_the_others_at_once_and_says_where_it_was_raised() -> None:
    started = time.monotonic()
    with pytest.raises(UserError, match="this cannot work"):
        local.run(tasks.refuse_first, [0, 1, 2, 3], workers=4, advance=lambda num_bytes: None)
    assert time.monotonic() - started < 30  # the others sleep for a minute
    with pytest.raises(ZeroDivisionError) as error:
        local.run(tasks.divide, [0, 1], workers=2, advance=lambda num_bytes: None)
    assert "in divide" in "".join(error.value.__notes__)
    with pytest.raises(RuntimeError, match="class of no module"):
        local.run(tasks.raise_odd, [0, 1], workers=2, advance=lambda num_bytes: None)


def test_a_task_apart_is_done_here_where_no_process_can_be_forked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A spawned one runs the program anew: one that is no module's would fail."""
    monkeypatch.setattr(local, "_start_method", lambda: "spawn")
    result = local.run_apart(tasks.double, 4, tick=lambda: None)
    assert result == (8, threading.get_native_id())


def test_a_task_apart_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_start_method", lambda: "fork")
    ticks: list[int] = []
    result, thread = local.run_apart(tasks.double, 4, tick=lambda: ticks.append(1))
    assert (result, thread != threading.get_native_id()) == (8, True)
    with pytest.raises(ZeroDivisionError):
        local.run_apart(tasks.divide, 0, tick=lambda: None)
    with pytest.raises(UserError, match="worker processes die before"):
        local.run_apart(tasks.die, 1, tick=lambda: None)


def test_a_task_apart_ends_with_what_is_raised_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_start_method", lambda: "fork")

    def interrupt() -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        local.run_apart(tasks.refuse_first, 1, tick=interrupt)  # sleeps for a minute
    assert time.monotonic() - started < 30
    assert not multiprocessing.active_children()
