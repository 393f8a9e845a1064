"""locks: one holder at a time, whose name is told, and file systems that have none."""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from terminal import run_program

from pipeline import UserError
from pipeline.locks import NoLocksError, held

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
