"""Runs a command and prints the peak memory of all its processes together.

    python benchmarks/peak_memory.py -- textreel prepare TEXT --output CORPUS

Adds up what the process and all its descendants have in memory every 10 ms: their proportional
sets, in which a page that n of them share counts 1/n in each, and their resident sets, in which it
counts in each. Linux only.
"""

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path

PAGE_BYTES = 4096


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(directory.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def resident_bytes(root: int) -> int:
    """The resident set of a process and its descendants, in bytes."""
    total = 0
    for process in tree(root):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE_BYTES
    return total


def proportional_bytes(root: int) -> int:
    """The memory of a process and its descendants in bytes, shared pages once."""
    total = 0
    for process in tree(root):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += sum(int(n) for n in re.findall(r"^Pss: +(\d+) kB", text, re.M)) * 1024
    return total


def main() -> int:
    """Runs the command behind `--`."""
    command = sys.argv[sys.argv.index("--") + 1 :]
    started = time.monotonic()
    process = subprocess.Popen(command)
    peak = resident = 0
    while process.poll() is None:
        peak = max(peak, proportional_bytes(process.pid))
        resident = max(resident, resident_bytes(process.pid))
        time.sleep(0.01)
    print(
        f"peak memory {peak / 1e6:.0f} MB, resident sets {resident / 1e6:.0f} MB, "
        f"{time.monotonic() - started:.2f} s"
    )
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
