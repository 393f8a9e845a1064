"""Engine that runs tasks in processes of this machine."""

import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized

from pipeline.errors import OptionError, UserError
from pipeline.preparing.engines import Advance, Result, Task

_POLL_SECONDS = 0.1
# Libraries that may have started threads of their own, which Python does not count.
_WITH_THREADS = ("gigatoken", "pyarrow", "tensorflow", "tokenizers")
_MAX_BREAKDOWNS = 3  # worker deaths in a row without a task that ended in between
_done_bytes: "Synchronized[int]"  # in a worker: what all workers have done


def default_workers() -> int:
    """Returns one process for each core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked_workers(workers: int | None) -> int:
    """Returns the number of processes, one a core where it is not given.

    Raises:
        OptionError: it is below 1.
    """
    if workers is None:
        return default_workers()
    if workers < 1:
        raise OptionError(f"`workers` must be an integer of at least 1, got {workers}")
    return workers


def run(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    advance: Advance,
) -> list[Result]:
    """Returns `[function(task, advance) for task in tasks]`, computed in up to `workers` processes.

    At most two tasks a worker are under way, so that memory does not grow with their number.
    Workers that die are replaced and their tasks run again, so `function` must be idempotent.

    Args:
        function: importable, for it may run in spawned processes.
        tasks: picklable.
        workers: 1 runs everything in this process.
        advance: is called here with the bytes that were done since its last call.
    """
    if min(workers, len(tasks)) <= 1:
        return [function(task, advance) for task in tasks]
    results: dict[int, Result] = {}
    breakdowns = 0
    while len(results) < len(tasks):
        waiting = [index for index in range(len(tasks)) if index not in results]
        num_before = len(results)
        try:
            _run_pool(function, tasks, waiting, results, workers, advance)
        except BrokenProcessPool as error:
            breakdowns = 1 if len(results) > num_before else breakdowns + 1
            if breakdowns == _MAX_BREAKDOWNS:
                raise UserError(
                    "worker processes die before they end a task: killed, out of memory (use "
                    "fewer `--workers`), or started by a program without "
                    "`if __name__ == '__main__':` around what it does"
                ) from error
    return [results[index] for index in range(len(tasks))]


def _run_pool(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Task],
    waiting: Sequence[int],
    results: dict[int, Result],
    workers: int,
    advance: Advance,
) -> None:
    """Adds the results of the tasks `waiting`, until all are there or a worker dies."""
    context = multiprocessing.get_context(_start_method())
    done_bytes = context.Value("q", 0)
    executor = ProcessPoolExecutor(
        min(workers, len(waiting)), context, initializer=_start_worker, initargs=(done_bytes,)
    )
    shown = 0
    queue = iter(waiting)
    running: dict[Future[Result], int] = {}
    try:
        while True:
            for index in itertools.islice(queue, 2 * workers - len(running)):
                running[executor.submit(_call, function, tasks[index])] = index
            if not running:
                return
            done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                index = running.pop(future)
                results[index] = future.result()
            now = done_bytes.value
            advance(now - shown)
            shown = now
    finally:
        executor.shutdown(cancel_futures=True)


def _start_method() -> str:
    """How workers start: a fork takes milliseconds, a spawned one imports NumPy again (0.2 s).

    A fork copies no threads but the locks that they hold, so a caller with threads, of its own or
    of a library, gets spawned workers.
    """
    alone = threading.active_count() == 1 and sys.modules.keys().isdisjoint(_WITH_THREADS)
    return "fork" if alone and sys.platform == "linux" else "spawn"


def _start_worker(done_bytes: "Synchronized[int]") -> None:
    global _done_bytes
    _done_bytes = done_bytes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """Ends this worker as soon as its parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _call(function: Callable[[Task, Advance], Result], task: Task) -> Result:
    return function(task, _advance)


def _advance(num_bytes: int) -> None:
    with _done_bytes.get_lock():
        _done_bytes.value += num_bytes
