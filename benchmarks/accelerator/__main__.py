"""What a machine with a GPU or a TPU trains, and how fast: one command, one table.

    python -m benchmarks.accelerator --environments DIR [--small] [--only CHECK...]

Checks: which kernels an LSTM runs by; the losses of 100 steps beside the CPU's, for each model
and precision; a resumed run bit for bit; two processes; SIGTERM. Rates: LSTM, GRU and Transformer
with and without XLA, memory and waiting for input, beside Keras's `fit` and PyTorch, which runs in
an environment of its own, made in DIR. What fails is a row of the table, too. With an accelerator
the table is written to `benchmarks/results/accelerator.md`. `--small` is for a CPU: the same
checks of small models.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.accelerator import checks
from benchmarks.accelerator.checks import Row
from benchmarks.accelerator.rates import SIZES, SMALL, peer_rates, rates
from pipeline import open_corpus

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peer_environments import interpreter  # noqa: E402
from processor import describe  # noqa: E402

CHECKS = ("kernels", "losses", "resumption", "processes", "termination", "rates", "peers")


def make_corpus(folder: Path, num_bytes: int) -> tuple[str, str, int]:
    """A corpus of bytes, its ids in one file for the peers, and their number."""
    text, corpus, ids = folder / "text.txt", folder / "corpus", folder / "ids"
    make_text(text, num_bytes)
    command = [sys.executable, "-m", "pipeline", "prepare", str(text), f"--output={corpus}"]
    subprocess.run([*command, "--splits", "train=1", "--vocabulary=byte"], check=True)
    np.frombuffer(text.read_bytes(), np.uint8).tofile(ids)
    return str(corpus), str(ids), open_corpus(corpus).vocabulary.size


def table(found: dict[str, object], rows: list[Row]) -> str:
    """The table, in Markdown."""
    versions = ", ".join(f"{name} {value}" for name, value in found.items() if value)
    lines = ["# An accelerator: checks and rates", "", f"{describe()}. {versions}.", ""]
    lines += ["| | result | as it should be |", "|---|---|---|"]
    lines += [f"| {row.name} | {row.result.replace('|', '/')} | {row.verdict} |" for row in rows]
    return "\n".join(lines) + "\n"


def measured(name: str, work: Callable[[], list[Row]]) -> Iterator[Row]:
    """The rows of a check, as they come; one that says why where it fails."""
    try:
        rows = work()
    except Exception as error:  # a table with a gap is worth more than none
        rows = [Row(name, f"{type(error).__name__}: {error}"[-300:], "no")]
    for row in rows:
        print(f"{row.name}: {row.result} {row.verdict}", flush=True)
        yield row


def main() -> None:
    """Checks, measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, help="None measures no PyTorch")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", nargs="+", choices=CHECKS, default=CHECKS)
    arguments = parser.parse_args()
    found = checks.devices()
    gpus = found["GPUs"]
    num_gpus = len(gpus) if isinstance(gpus, list) else 0
    small = ["--layers=1", "--units=16", "--seq_len=16", "--batch_size=8"]
    shared = small if arguments.small else ["--seq_len=64", "--batch_size=64"]
    interpreters = {"keras_fit": sys.executable}
    if arguments.environments is not None:
        interpreters["pytorch"] = interpreter(arguments.environments, "torch")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, ids, vocabulary_size = make_corpus(folder, 10**6 if arguments.small else 10**8)
        data = [corpus, "--eval_every=0", "--validation_split=train"]
        flags = [*data, *shared]
        work: list[tuple[str, Callable[[], list[Row]]]] = [
            ("kernels", lambda: checks.kernels(folder / "k", flags, wanted=num_gpus > 0)),
            ("losses", lambda: checks.losses(folder / "l", flags)),
            ("resumption", lambda: checks.resumption(folder / "r", flags)),
            ("processes", lambda: checks.processes(folder / "p", flags, num_gpus=num_gpus)),
            ("termination", lambda: checks.termination(folder / "t", flags)),
        ]
        for size in SMALL if arguments.small else SIZES:
            work += [
                ("rates", lambda size=size: rates(folder / "s", data, size)),
                (
                    "peers",
                    lambda size=size: peer_rates(
                        ids,
                        vocabulary_size,
                        size,
                        interpreters=interpreters,
                        seconds=2.0 if arguments.small else 10.0,
                    ),
                ),
            ]
        for check, rows_of in work:
            if check in arguments.only:
                rows += measured(check, rows_of)
    text = table(found, rows)
    print(text)
    if num_gpus or found["TPUs"]:
        (HERE.parent / "results" / "accelerator.md").write_text(text)


if __name__ == "__main__":
    main()
