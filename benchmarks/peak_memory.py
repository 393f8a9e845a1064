"""Runs a command and prints the peak memory of all its processes together.

    python benchmarks/peak_memory.py -- textreel prepare TEXT --output CORPUS

Adds up the resident set of the process and of all its descendants every 10 ms (pages that they
share count in each). Linux only.
"""

import subprocess
import sys
import time
from pathlib import Path

PAGE_BYTES = 4096


def resident_bytes(root: int) -> int:
    """The resident set of a process and its descendants, in bytes."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
            resident[int(directory.name)] = int((directory / "statm").read_text().split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(directory.name))
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        total += resident.get(process, 0) * PAGE_BYTES
        waiting += children.get(process, [])
    return total


def main() -> int:
    """Runs the command behind `--`."""
    command = sys.argv[sys.argv.index("--") + 1 :]
    started = time.monotonic()
    process = subprocess.Popen(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(0.01)
    print(f"peak memory {peak / 1e6:.0f} MB, {time.monotonic() - started:.2f} s")
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
