"""How near the order is to a perfect shuffle, beside a shuffle buffer of the same memory.

    python benchmarks/shuffle.py [--megabytes 512] [--seeds 10] [--only NAME...]

Makes corpora of bytes of two sources end to end, of twenty, and of a thousand documents that are
sorted by size, and measures what `textreel inspect --shuffle` shows, for several batch sizes and
seeds. Writes a table to `benchmarks/results`; with `--only`, or when stopped, of the rows
that are there, as `shuffle.partial.md`.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from peer_environments import versions_text
from processor import describe
from rounds import chosen, ended_by_signals, write_table
from tqdm import tqdm

from pipeline import open_corpus
from pipeline.auditing.shuffle_quality import Quality, measure

BATCH_SIZES = (48, 64, 96, 256)
SOURCES = ("two sources", "twenty sources", "1,000 sorted documents")


def write_sources(folder: Path, name: str, num_bytes: int) -> None:
    """Random letters: what the sources say does not matter, only where they stand."""
    sizes = {
        "two sources": np.full(2, num_bytes // 2),
        "twenty sources": np.full(20, num_bytes // 20),
        "1,000 sorted documents": np.arange(1, 1001) * (num_bytes // 500_500),
    }[name]
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        letters = generator.integers(97, 123, size, np.uint8)
        letters[79::80] = 10
        (folder / f"{number:04}.txt").write_bytes(letters.tobytes())


def cell(qualities: list[Quality], form: str) -> str:
    """The mean of the seeds, and the least and the greatest."""
    values = [getattr(quality, form) for quality in qualities]
    digits = 2 if form == "variance" else 3 if form == "autocorrelation" else 0
    return f"{np.mean(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="sources that hold one of these")
    arguments = parser.parse_args()
    names = list(chosen(dict.fromkeys(SOURCES), arguments.only))
    lines = [
        f"# The order beside a perfect shuffle: {arguments.megabytes} MiB of bytes, windows of 64",
        "",
        "`python benchmarks/shuffle.py`, default memory (256 MiB), seeds 0 to "
        f"{arguments.seeds - 1}: mean (least-greatest); {describe()}. Variance of a source's "
        "share in a batch over that of a perfect shuffle; its autocorrelation at lags of 1 to 64 "
        "batches; pairs of neighbours in the text that stand in one batch, of a million positions. "
        f"{versions_text(Path(), [])}.",
        "",
        "| | | variance | autocorrelation | neighbours |",
        "|---|---|---|---|---|",
    ]
    stopped = False
    try:
        with tempfile.TemporaryDirectory() as folder, ended_by_signals():
            for name in tqdm(names, unit="corpus"):
                for row in measured_rows(name, Path(folder), arguments):
                    lines.append(row)
                    tqdm.write(row)
    except KeyboardInterrupt:
        stopped = True
    write_table("shuffle", lines, whole=len(names) == len(SOURCES) and not stopped)


def measured_rows(name: str, folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The rows of a corpus, as they come."""
    place = folder / name.replace(" ", "_")
    write_sources(place, name, arguments.megabytes * 2**20)
    prepare = ["prepare", str(place), "--output", f"{place}.corpus", "--splits", "train=1"]
    subprocess.run([sys.executable, "-m", "pipeline", *prepare], check=True)
    corpus = open_corpus(f"{place}.corpus")
    for batch_size in BATCH_SIZES:
        found = [
            measure(corpus, "train", seq_len=64, batch_size=batch_size, seed=seed)
            for seed in range(arguments.seeds)
        ]
        unavoidable = found[0].unavoidable
        rows = {
            f"this order (groups of this size cannot avoid {unavoidable:.3f})": "ours",
            "its end": "our_end",
            "a perfect shuffle": "perfect",
            f"a buffer of {found[0].buffer_windows:,}": "buffer",
        }
        for title, field in rows.items():
            qualities = [getattr(comparison, field) for comparison in found]
            yield (
                f"| {name}, batches of {batch_size} | {title} | "
                f"{cell(qualities, 'variance')} | {cell(qualities, 'autocorrelation')} | "
                f"{cell(qualities, 'same_batch')} |"
            )
        shares = [
            f"{count}: {max(comparison.host_bytes[count] for comparison in found):.3f}"
            for count in found[0].host_bytes
        ]
        yield (
            f"| {name}, batches of {batch_size} | one of so many hosts reads | "
            f"{', '.join(shares)} | | |"
        )


if __name__ == "__main__":
    main()
