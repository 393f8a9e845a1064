"""allocator: freed memory is used again, without faults, unless the user settles it otherwise."""

import ctypes
import platform
from typing import Any

import pytest
from training import run_child

from trainer import allocator

FAULTS = """
import resource, sys
from trainer.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def use():
    for block in [bytearray(12 * 2**20) for _ in range(3)]:
        block[::4096] = bytes(len(block) // 4096)
for _ in range(5):
    use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is told")
def test_memory_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back = int(run_child(FAULTS, "as it is"))
    assert int(run_child(FAULTS, "kept")) < given_back / 100
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")  # the user's own word
    assert int(run_child(FAULTS, "kept")) > given_back / 2


class Calls:
    """A C library that writes down what it is told."""

    def __init__(self, *names: str) -> None:
        self.told: list[tuple[int, int]] = []
        for name in names:
            setattr(self, name, lambda *arguments: self.told.append(arguments))


@pytest.mark.parametrize(
    ("system", "names", "variables", "told"),
    [
        ("linux", ("mallopt", "gnu_get_libc_version"), {}, 4),
        ("linux", (), {}, 0),  # musl
        ("darwin", ("mallopt", "gnu_get_libc_version"), {}, 0),
        ("linux", ("mallopt", "gnu_get_libc_version"), {"MALLOC_ARENA_TEST_": "1"}, 0),
        ("linux", ("mallopt", "gnu_get_libc_version"), {"MALLOC_CONF": "jemalloc's"}, 4),
        (
            "linux",
            ("mallopt", "gnu_get_libc_version"),
            {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"},
            0,
        ),
    ],
)
def test_only_glibc_is_told(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    names: tuple[str, ...],
    variables: dict[str, str],
    told: int,
) -> None:
    library: Any = Calls(*names)
    monkeypatch.setattr(allocator.sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    allocator.keep_freed_memory()
    assert len(library.told) == told
