"""Signals that ask a run to stop: SIGTERM and SIGUSR1 from schedulers, SIGINT from Ctrl-C.

It saves first.
"""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

# SIGUSR1: Slurm sends it by `--signal=USR1@60`, a minute before the time is over.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopRequest:
    """Whether a signal has asked the run to stop.

    Attributes:
        signal_number: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None

    @contextlib.contextmanager
    def listening(self, on_signal: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Notes these signals instead of dying of them; a second one is obeyed at once.

        Outside the main thread, where Python allows no handlers, it does nothing.

        Args:
            on_signal: called by another thread as soon as one comes, even while the main thread
                is in compiled code, where Python runs no handlers.
        """

        def note(number: int, restore: Callable[[], None]) -> None:
            self.signal_number = number
            restore()

        with _handling(note, lambda number: on_signal()):
            yield


@contextlib.contextmanager
def obeying_at_once(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Lets these signals end what runs: there is nothing yet to be saved.

    Outside the main thread it does nothing.

    Args:
        on_signal: called with the signal's number by another thread as soon as one comes. The
            main thread, where it runs Python, has then begun to end.

    Raises:
        KeyboardInterrupt: SIGINT came.
        SystemExit: another of them did; see `exit_after`.
    """
    with _handling(lambda number, restore: exit_after(number), on_signal):
        yield


@contextlib.contextmanager
def _handling(
    handle: Callable[[int, Callable[[], None]], None], on_signal: Callable[[int], None]
) -> Iterator[None]:
    """Handles these signals for as long as the context lasts, in the main thread alone.

    Args:
        handle: called with the signal's number, and with what brings the handlers before it back.
        on_signal: see `_woken`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, lambda number, frame: handle(number, restore))
    try:
        with _woken(on_signal):
            yield
    finally:
        restore()


@contextlib.contextmanager
def _woken(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Calls a function, by a thread, with the number of one of these signals that has come."""
    waiting, woken = socket.socketpair()
    woken.setblocking(False)
    is_over = False

    def wait() -> None:
        while (number := waiting.recv(1)) and not is_over:
            if number[0] in _SIGNALS:  # a program may have handlers of others
                on_signal(number[0])

    thread = threading.Thread(target=wait, daemon=True)
    before = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        is_over = True
        signal.set_wakeup_fd(before)
        woken.close()
        thread.join()
        waiting.close()


def exit_after(signal_number: int) -> NoReturn:
    """Ends a run that a signal asked to stop, and that has nothing left to save.

    Raises:
        KeyboardInterrupt: it was SIGINT.
        SystemExit: it was another; as a shell reports a death by it, 143 for SIGTERM:
            schedulers retry codes above 127.
    """
    if signal_number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + signal_number)
