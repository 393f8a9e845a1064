"""Tasks that engines run: a worker finds them by the name of this module."""

import os
import threading
from pathlib import Path

from pipeline.errors import UserError
from pipeline.preparing.engines import Advance


def square(number: int, advance: Advance) -> int:
    advance(number)
    return number * number


def double(number: int, advance: Advance) -> tuple[int, int]:
    """Twice the number, and the thread that doubled it."""
    advance(number)
    return 2 * number, threading.get_native_id()


def listing(folder: Path, advance: Advance) -> list[str]:
    return os.listdir(folder)


def fail(error: Exception | None, advance: Advance) -> None:
    if error is not None:
        raise error


def divide(number: int, advance: Advance) -> float:
    return 1 / number


def mark(task: tuple[Path, bool], advance: Advance) -> None:
    """Makes a file, or fails."""
    path, fails = task
    if fails:
        raise UserError("the fourth")
    path.touch()


def die_once(path: Path, advance: Advance) -> int:
    """Kills its worker where the file is not there yet."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), 9)
    return os.getpid()


def die(number: int, advance: Advance) -> None:
    os.kill(os.getpid(), 9)
