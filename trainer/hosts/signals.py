"""Signals that ask a run to stop: SIGTERM from schedulers, SIGINT from Ctrl-C. It saves first."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class StopRequest:
    """Whether a signal has asked the run to stop.

    Attributes:
        signal_number: the signal that came, or None.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Notes SIGTERM and SIGINT instead of dying of them; a second one is obeyed at once.

        Outside the main thread, where Python allows no handlers, it does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def note(number: int, frame: FrameType | None) -> None:
            self.signal_number = number
            for other, handler in before.items():
                signal.signal(other, handler)

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def exit_after(signal_number: int) -> NoReturn:
    """Ends a run that a signal asked to stop, and that is saved.

    Raises:
        KeyboardInterrupt: it was SIGINT.
        SystemExit: it was another; as a shell reports a death by it, 143 for SIGTERM:
            schedulers retry codes above 127.
    """
    if signal_number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + signal_number)
