"""Runs tasks in processes of this machine."""

import itertools
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import Any, TypeVar

from pipeline.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
Advance = Callable[[int], None]

_POLL_SECONDS = 0.1
_done_bytes: "Synchronized[int]"  # in a worker: what all workers have done


def run(
    function: Callable[[Task, Advance], Result],
    tasks: Sequence[Task],
    *,
    workers: int,
    advance: Advance,
) -> list[Result]:
    """Returns `[function(task, advance) for task in tasks]`, computed in up to `workers` processes.

    At most two tasks a worker are under way, so that memory does not grow with their number.

    Args:
        function: importable, for it runs in spawned processes.
        tasks: picklable.
        workers: 1 runs everything in this process.
        advance: is called here with the bytes that were done since its last call.
    """
    if min(workers, len(tasks)) <= 1:
        return [function(task, advance) for task in tasks]
    # spawn, not fork: the caller may have threads (TensorFlow's, a progress bar's).
    context = multiprocessing.get_context("spawn")
    done_bytes = context.Value("q", 0)
    executor = ProcessPoolExecutor(
        min(workers, len(tasks)), context, initializer=_start_worker, initargs=(done_bytes,)
    )
    try:
        results: list[Any] = [None] * len(tasks)
        shown = 0
        for index, result in _completed(executor, function, tasks, limit=2 * workers):
            if index is not None:
                results[index] = result
            done = done_bytes.value
            advance(done - shown)
            shown = done
        return results
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died: killed, out of memory (use fewer `--workers`), or started by a"
            " program without `if __name__ == '__main__':` around what it does"
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _completed(
    executor: ProcessPoolExecutor,
    function: Callable[[Task, Advance], Result],
    tasks: Iterable[Task],
    *,
    limit: int,
) -> Iterator[tuple[int | None, Result | None]]:
    """Yields (index, result) as tasks end, and (None, None) in between, for the progress bar."""
    waiting = enumerate(tasks)
    running: dict[Future[Result], int] = {}
    while True:
        for index, task in itertools.islice(waiting, limit - len(running)):
            running[executor.submit(_call, function, task)] = index
        if not running:
            return
        done, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
        yield None, None
        for future in done:
            yield running.pop(future), future.result()


def _start_worker(done_bytes: "Synchronized[int]") -> None:
    global _done_bytes
    _done_bytes = done_bytes


def _call(function: Callable[[Task, Advance], Result], task: Task) -> Result:
    return function(task, _advance)


def _advance(num_bytes: int) -> None:
    with _done_bytes.get_lock():
        _done_bytes.value += num_bytes
