"""Startup of a host, from the meeting to its first step: signals and the clock can end it.

TensorFlow connects, exchanges and compiles in calls that may last for minutes, or, where another
host is lost meanwhile, for ever; Python runs no handlers in them. Nothing is lost by an end now:
nothing was trained since the last save.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

from pipeline.terminal import show
from trainer.hosts.environment import Hosts
from trainer.hosts.signals import obeying_at_once

# 128 + SIGUSR1. Kubeflow keeps it for "run it again"; others retry all codes above 127.
LOST_HOST_CODE = 138

_GRACE_SECONDS = 5.0  # for a call to come back, so that the process ends in order


@contextlib.contextmanager
def starting(hosts: Hosts | None, *, timeout: float) -> Iterator[None]:
    """Lets a signal end what runs, and, where there are other hosts, the time-out too.

    A call that does not come back is ended with the process.

    Args:
        hosts: the processes that train together; None for this one alone.
        timeout: seconds after which several hosts give up.

    Raises:
        KeyboardInterrupt: SIGINT came.
        SystemExit: another signal did.
    """
    over = threading.Event()

    def end(signal_number: int) -> None:
        if not over.wait(_GRACE_SECONDS):
            _exit(128 + signal_number, "textreel: stopped before the first step of this start")

    def watch() -> None:
        if not over.wait(timeout):
            _exit(
                LOST_HOST_CODE,
                "textreel: error: all workers were there, but did not begin to train together "
                f"within {timeout:g} seconds; see what their logs say, and start all workers, or "
                "give a longer --startup_timeout",
            )

    if hosts is not None:
        threading.Thread(target=watch, daemon=True).start()
    try:
        with obeying_at_once(end):
            try:
                yield
            finally:
                over.set()
    finally:
        over.set()


def _exit(code: int, text: str) -> None:
    show(text, file=sys.stderr)
    sys.stderr.flush()
    os._exit(code)
