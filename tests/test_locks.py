"""locks: one holder at a time, whose name is told, and file systems that have none."""

import concurrent.futures
import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from terminal import run_program

from pipeline import UserError, locks
from pipeline.locks import NoLocksError, held, held_folder

PROGRAM = """
import sys
from pathlib import Path
from pipeline.errors import UserError
from pipeline.locks import held
try:
    with held(Path(sys.argv[1]), busy=lambda holder: f"taken by {holder}"):
        print("held")
except UserError as error:
    print(error)
"""


def busy(holder: str) -> str:
    return f"taken by {holder}"


def test_it_is_held_by_one_process_and_once_in_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lock"
    with held(path, busy=busy):
        assert run_program(PROGRAM, path).startswith(f"taken by process {os.getpid()} on ")
        with pytest.raises(UserError, match=r"^taken by this process$"), held(path, busy=busy):
            pass
    assert run_program(PROGRAM, path) == "held\n"


def test_of_two_threads_that_come_at_once_one_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The locks of a file system do not tell threads apart."""
    taking, own = threading.Barrier(2), locks._hold

    def hold_slowly(*arguments: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            taking.wait(0.5)  # for the other thread, should it come so far
        return own(*arguments)

    monkeypatch.setattr(locks, "_hold", hold_slowly)

    def take(_: int) -> str:
        try:
            with held(tmp_path / "lock", busy=busy):
                return "held"
        except UserError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(take, range(2))) == ["held", "taken by this process"]


def test_a_holder_may_remove_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for _ in range(2):
        with held(path, busy=busy):
            path.unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with pytest.raises(NoLocksError, match="no locks"), held(tmp_path / "lock", busy=busy):
        pass


def test_a_folder_is_left_where_something_was_made(tmp_path: Path) -> None:
    directory, folder = tmp_path / "made", tmp_path / "made" / ".work"
    with held_folder(directory, ".work", doing="made"):
        (folder / "part").touch()
        (folder / "other.incomplete").touch()
    assert {path.name for path in folder.iterdir()} == {"lock", "part", "other.incomplete"}
    with held_folder(directory, ".work", doing="made"):
        assert {path.name for path in folder.iterdir()} == {"lock", "part"}
        with (
            pytest.raises(UserError, match=r"made is being made by this process; wait for it$"),
            held_folder(directory, ".work", doing="made"),
        ):
            pass
        (folder / "part").unlink()
    assert list(directory.iterdir()) == [], "it was there before, and stays"
    with held_folder(tmp_path / "new", ".work", doing="made"):
        pass
    assert list(tmp_path.iterdir()) == [directory]


def test_a_folder_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with (
        pytest.raises(UserError, match=r"has no locks \(no locks\).* another file system"),
        held_folder(tmp_path / "made", ".work", doing="made"),
    ):
        pass
