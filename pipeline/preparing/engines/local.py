"""Engine that runs tasks in processes of this machine.

Each worker has a pipe of its own, and nothing else is shared: a worker that dies, at whatever
moment, holds no lock that another could wait for.
"""

import collections
import contextlib
import gc
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np  # noqa: F401 - its threads are there when `_NUM_THREADS` is counted

from pipeline.errors import OptionError, UserError
from pipeline.files import release
from pipeline.preparing.engines import Advance, Result, Task
from pipeline.terminal import show_warnings

_JOIN_SECONDS = 5.0
_TICK_SECONDS = 0.1
# Libraries that may have started threads of their own, which no fork copies.
_WITH_THREADS = ("pyarrow", "tensorflow")
_MAX_DEATHS = 3  # of workers, in a row, without a task that ended in between


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

    A worker has one task at a time, so that memory does not grow with their number. Workers that
    die are replaced and their tasks run again, so `function` must be idempotent. Where one fails,
    the others are ended at once.

    Args:
        function: importable, for it may run in spawned processes.
        tasks: picklable.
        workers: 1 runs everything in this process.
        advance: is called here with the bytes that were done since its last call.

    Raises:
        UserError: workers die again and again.
    """
    if min(workers, len(tasks)) <= 1:
        return [function(task, advance) for task in tasks]
    release()
    results: dict[int, Result] = {}
    waiting = collections.deque(range(len(tasks)))
    pool: dict[Any, _Worker] = {}  # by their connections
    deaths = 0
    try:
        while len(results) < len(tasks):
            while waiting and len(pool) < workers:
                worker = _Worker(function)
                pool[worker.connection] = worker
                worker.start(waiting.popleft(), tasks)
            for connection in multiprocessing.connection.wait(list(pool)):
                worker = pool[connection]
                try:
                    done, content = worker.connection.recv()
                except (EOFError, OSError, pickle.UnpicklingError):
                    deaths += 1
                    waiting.appendleft(worker.task_index)
                    pool.pop(worker.connection).end()
                    if deaths == _MAX_DEATHS:
                        raise UserError(_DYING) from None
                    continue
                if not done:
                    advance(content)
                    continue
                deaths, results[worker.task_index] = 0, content
                if isinstance(content, BaseException):
                    raise content
                if waiting:
                    worker.start(waiting.popleft(), tasks)
                else:
                    pool.pop(worker.connection).end()
    finally:
        for worker in pool.values():
            worker.end()
    return [results[index] for index in range(len(tasks))]


def run_apart(
    function: Callable[[Task, Advance], Result], task: Task, *, tick: Callable[[], object]
) -> Result:
    """Returns `function(task, …)`, computed in a process of its own where that can be forked.

    Then an exception here, such as Ctrl-C's, ends it at once, whatever library it is in. A spawned
    process would run the program anew, which one that asks for a single worker need not expect.

    Args:
        function: what to compute.
        task: picklable.
        tick: is called here several times a second, in the meantime.

    Raises:
        UserError: the process dies.
    """
    release()
    if _start_method() == "spawn":
        return function(task, lambda _: None)
    worker = _Worker(function)
    try:
        worker.start(0, [task])
        done: bool = False
        content: Any = None
        while not done:
            while not worker.connection.poll(_TICK_SECONDS):
                tick()
            done, content = worker.connection.recv()
    except (EOFError, ConnectionResetError) as error:
        raise UserError(_DYING) from error
    finally:
        worker.end()
    if isinstance(content, BaseException):
        raise content
    return cast(Result, content)


_DYING = (
    "worker processes die before they end a task: killed, out of memory (use fewer `--workers`), "
    "or started by a program without `if __name__ == '__main__':` around what it does"
)


class _Worker:
    """A process, and the pipe to it.

    Attributes:
        connection: the pipe: tasks go there, `(is the result, bytes done or the result)` come.
        task_index: the task that it is at.
    """

    def __init__(self, function: Callable[[Any, Advance], Any]):
        context: Any = multiprocessing.get_context(_start_method())
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, function), daemon=True)
        gc.freeze()  # a worker's collections would write into all that it shares with this process
        self._process.start()
        gc.unfreeze()
        theirs.close()  # now only the worker has it: its death is the end of the stream
        self.task_index = -1

    def start(self, task_index: int, tasks: Sequence[Any]) -> None:
        """Gives it a task. One that is dead shows it when its pipe is read."""
        self.task_index = task_index
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(tasks[task_index])

    def end(self) -> None:
        """Ends the process, whatever it does, and waits for that within bounds."""
        self._process.kill()
        self._process.join(_JOIN_SECONDS)
        self.connection.close()


def _start_method() -> str:
    """How workers start: a fork takes milliseconds, a spawned one imports NumPy again (0.2 s).

    A fork copies no threads but the locks that they hold, so a caller with threads, of its own or
    of a library, gets spawned workers. What a caller without has loaded, such as a tokenizer, its
    forked workers have at once, and share its memory.
    """
    alone = (
        sys.platform == "linux"
        and threading.active_count() == 1
        and sys.modules.keys().isdisjoint(_WITH_THREADS)
        and _num_threads() <= _NUM_THREADS
    )
    return "fork" if alone else "spawn"


def _num_threads() -> int:
    """The threads of this process, those of libraries included; 0 where none can be counted."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


# With those of NumPy, which ends them when it is forked; 0 where those of others may be among them.
_NUM_THREADS = 0 if {"gigatoken", "tokenizers"} & sys.modules.keys() else _num_threads()


def _work(
    connection: multiprocessing.connection.Connection, function: Callable[[Any, Advance], Any]
) -> None:
    """In a worker: runs the tasks that come, until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    show_warnings()
    threading.Thread(target=_die_with_parent, daemon=True).start()

    def advance(num_bytes: int) -> None:
        connection.send((False, num_bytes))

    while True:
        task = connection.recv()
        try:
            content = function(task, advance)
        except BaseException as error:
            content = _sendable(error)
        connection.send((True, content))


def _sendable(error: BaseException) -> BaseException:
    """The error with where it was raised; one that cannot be pickled becomes text."""
    if not isinstance(error, UserError):
        error.add_note("in a worker:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _die_with_parent() -> None:
    """Ends this worker as soon as its parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
