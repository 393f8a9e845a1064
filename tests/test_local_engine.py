"""How workers start: forked only where no thread can hold a lock."""

import subprocess
import sys
import threading

import pytest

from pipeline.preparing.engines import local

ASK = "from pipeline.preparing.engines import local; print(local._start_method())"


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")
@pytest.mark.parametrize(
    ("before", "method"),
    [
        ("", "fork"),
        ("import pipeline.cli", "fork"),
        ("import tokenizers", "spawn"),
        ("import pyarrow", "spawn"),
        ("import threading; threading.Timer(1, print).start()", "spawn"),
    ],
)
def test_workers_are_forked_where_nothing_runs_beside(before, method):
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{ASK}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [method]


def double(task, advance):
    advance(task)
    return 2 * task, threading.get_native_id()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_results_are_the_same_however_workers_start(method, monkeypatch):
    monkeypatch.setattr(local, "_start_method", lambda: method)
    done = []
    results = local.run(double, list(range(1, 9)), workers=2, advance=done.append)
    assert [result for result, _ in results] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert threading.get_native_id() not in {thread for _, thread in results}
    assert sum(done) == 36
