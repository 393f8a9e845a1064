"""memory: what is freed goes back to the system."""

import platform

import pytest
from terminal import run_program

GIVEN = """
from pathlib import Path
from pipeline.memory import give_back_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
blocks = [bytes(50_000) + b"." for _ in range(1_000)]
last = bytes(50_000) + b"."
del blocks
before = resident()
give_back_memory()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps it")
def test_freed_memory_goes_back() -> None:
    """50 MB, below a block that is still used."""
    assert int(run_program(GIVEN)) > 40_000_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import memory

    memory._trim.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    memory.give_back_memory()
    memory._trim.cache_clear()
