"""Peak memory against the size of the text."""

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

from installed_text import make_text
from peak_memory import resident_bytes
from processes import ORIGINAL, PREPARE, SAME_TASK, TRAIN, peak_megabytes, start

SIZES = [0.1, 0.3, 1.0, 3.0, 10.0]
SHARE = 0.8  # of the free memory that a measured process may be expected to take


@dataclasses.dataclass(frozen=True)
class Memory:
    """Peak memory at one size of text, in MB.

    Attributes:
        megabytes: of text.
        imported: a process that only imports TensorFlow and Keras.
        original: the original, all of the process.
        measured: whether `original` was measured, or computed from smaller sizes.
        arrays: what the original's arrays and lists take by their shapes.
        train: `textreel train`.
        prepare: `textreel prepare`, all processes together.
    """

    megabytes: float
    imported: float
    original: float
    measured: bool
    arrays: float
    train: float
    prepare: float


def measure_memory(folder: Path, sizes: list[float]) -> list[Memory]:
    """Measures each size, in ascending order, with the sizes before it to compute from."""
    imported = peak_megabytes([sys.executable, "-c", "import tensorflow, keras"])
    rows: list[Memory] = []
    for size in sorted(sizes):
        text, corpus = folder / f"memory_{size}.txt", folder / f"memory_{size}"
        make_text(text, round(size * 10**6))
        text.write_text(text.read_text().lower())
        prepare = _peak_of_all(
            [*PREPARE, str(text), f"--output={corpus}", "--vocabulary=char", "--splits=train=1"]
        )
        train = peak_megabytes(
            [
                *TRAIN,
                str(corpus),
                f"--output={corpus}.run",
                *SAME_TASK,
                "--steps=300",
                "--eval_every=0",
            ]
        )
        expected = _along_the_line(rows, size)
        measured = expected is None or expected < SHARE * _free_megabytes()
        original = peak_megabytes([*ORIGINAL, str(text), "--steps=20"]) if measured else expected
        rows.append(Memory(size, imported, original, measured, _arrays(text), train, prepare))
    return rows


def _along_the_line(rows: list[Memory], size: float) -> float | None:
    """The original's peak at a size, by the last two measured ones; None without them."""
    if len(rows) < 2:
        return None
    first, second = [row for row in rows if row.measured][-2:]
    slope = (second.original - first.original) / (second.megabytes - first.megabytes)
    return second.original + slope * (size - second.megabytes)


def _arrays(text: Path) -> float:
    """One-hot bool windows and targets, the windows as `str`, and the lists of both, in MB."""
    content = text.read_text()
    num_windows = len(range(0, len(content) - 40, 3))
    one_hot = 41 * len(set(content))
    return num_windows * (one_hot + sys.getsizeof("x" * 40) + 2 * 8) / 1e6


def _free_megabytes() -> float:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6


def _peak_of_all(command: list[str]) -> float:
    process = start(command)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(0.01)
    process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return peak / 1e6
