"""Tasks that engines run: a worker finds them by the name of this module."""

import gc
import os
import threading
import time
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


def frozen(number: int, advance: Advance) -> int:
    """How many objects no collection looks at."""
    return gc.get_freeze_count()


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


TOLD = 3000


def tell_often(number: int, advance: Advance) -> int:
    for _ in range(TOLD):
        advance(1)
    return number


def refuse_first(number: int, advance: Advance) -> int:
    if number == 0:
        raise UserError("this cannot work")
    time.sleep(60)
    return number


def raise_odd(number: int, advance: Advance) -> None:
    class Odd(Exception):  # noqa: N818
        """Of no module that could be imported elsewhere."""

    raise Odd("class of no module")
