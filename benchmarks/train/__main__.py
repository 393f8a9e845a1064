"""How fast an LSTM trains: textreel beside its peers, in one run.

    python benchmarks/train --environments DIR [--megabytes 10] [--rounds 5] [--seconds 5]
        [--only NAME...] [--precision float32|bfloat16...]

Every contender is a process that trains the same model (Embedding 64 -> LSTM 256 -> Dense, a
target at every place) on the same characters, in batches of 64 windows of 64, with Adam. The rate
counts trained tokens after a warm-up. The rounds go through all contenders in turn. Peers run in
virtual environments of their own, which are made in DIR from PyPI if they are not there. Writes a
table and a chart to `benchmarks/results`; a part, or when stopped, `train.partial.md`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline import open_corpus

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peer_environments import interpreter, versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import RESULTS, add_options, chosen, measure_in_rounds, write_table  # noqa: E402

TRANSFORMER = ["--model=transformer", "--layers=4", "--units=256", "--heads=4"]
CONTENDERS = {  # (name, precision) -> (script, its arguments, environment)
    ("textreel train", "float32"): ("textreel_train.py", [], None),
    ("textreel train", "bfloat16"): ("textreel_train.py", ["--precision=bfloat16"], None),
    ("Keras fit, steps_per_execution 32", "float32"): ("keras_fit.py", [], None),
    ("Keras fit, steps_per_execution 32", "bfloat16"): ("keras_fit.py", ["bfloat16"], None),
    ("Keras fit, jit_compile", "float32"): ("keras_fit.py", ["jit"], None),
    ("Keras fit, jit_compile", "bfloat16"): ("keras_fit.py", ["jit", "bfloat16"], None),
    ("PyTorch nn.LSTM", "float32"): ("torch_lstm.py", [], "torch"),
    ("PyTorch nn.LSTM", "bfloat16"): ("torch_lstm.py", ["bfloat16"], "torch"),
    ("PyTorch nn.LSTM, compile", "float32"): ("torch_lstm.py", ["compile"], "torch"),
    ("JAX scan, optax", "float32"): ("jax_scan.py", [], "jax"),
    ("JAX scan, optax", "bfloat16"): ("jax_scan.py", ["bfloat16"], "jax"),
    ("textreel train, Transformer", "float32"): ("textreel_train.py", TRANSFORMER, None),
    ("textreel train, Transformer", "bfloat16"): (
        "textreel_train.py",
        [*TRANSFORMER, "--precision=bfloat16"],
        None,
    ),
    ("nanoGPT's Transformer", "float32"): ("torch_transformer.py", [], "torch"),
    ("nanoGPT's Transformer", "bfloat16"): ("torch_transformer.py", ["bfloat16"], "torch"),
    ("nanoGPT's Transformer, compile", "float32"): ("torch_transformer.py", ["compile"], "torch"),
    ("limit: the matrix products", "float32"): ("limit_products.py", [], None),
    ("limit: the matrix products", "bfloat16"): ("limit_products.py", ["bfloat16"], None),
}
REFERENCE = "PyTorch nn.LSTM"
TRANSFORMER_REFERENCE = "nanoGPT's Transformer"


def measure(command: list[str]) -> dict[str, float]:
    """What a contender prints last: tokens a second, its loss and, if known, its input wait."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2][-200:])
    return json.loads(lines[-1])


def make_corpus(folder: str, num_bytes: int) -> tuple[str, int]:
    """A corpus of characters, and its ids in one file for the peers.

    Returns:
        The file's path (the corpus lies beside it as `.corpus`) and the number of ids.
    """
    text, ids = Path(folder) / "text.txt", f"{folder}/ids"
    make_text(text, num_bytes)
    prepare = ["prepare", str(text), "--output", f"{ids}.corpus", "--splits", "train=1"]
    subprocess.run([sys.executable, "-m", "pipeline", *prepare, "--vocabulary", "char"], check=True)
    vocabulary = open_corpus(f"{ids}.corpus").vocabulary
    np.array(vocabulary.encode(text.read_text()), np.uint8).tofile(ids)
    return ids, vocabulary.size


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=10)
    add_options(parser, precision=True)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    contenders = {
        key: contender
        for key, contender in chosen(CONTENDERS, arguments.only).items()
        if key[1] in arguments.precision
    }
    with tempfile.TemporaryDirectory() as folder:
        ids, vocabulary_size = make_corpus(folder, round(arguments.megabytes * 10**6))
        sizes = [ids, str(vocabulary_size), str(arguments.seconds)]
        commands = {
            key: [
                interpreter(arguments.environments, packages),
                str(HERE / "peers" / script),
                *sizes,
                *options,
            ]
            for key, (script, options, packages) in contenders.items()
        }
        measured = measure_in_rounds(commands, measure, rounds=arguments.rounds, show=show)
    results = measured.results
    environments = [environment for _, _, environment in contenders.values()]
    lines = [
        "# Tokens a second in training: Embedding 64, LSTM 256, Dense, on a CPU",
        "",
        f"`python benchmarks/train`, {describe()}, {arguments.megabytes:g} MB of text, "
        f"{vocabulary_size} characters, batches of",
        f"64 windows of 64, Adam without clipping; {measured.rounds_text} "
        "(slowest-fastest), in thousands. The ratio is the",
        f"median over the rounds of the rate beside that of {REFERENCE}, of a Transformer "
        f"(4 layers of 256, 4 heads) beside {TRANSFORMER_REFERENCE}, in the same precision "
        "and round.",
        f"{versions_text(arguments.environments, environments)}.",
        "",
        "| | float32 | ratio | bfloat16 | ratio | waits for input |",
        "|---|---|---|---|---|---|",
        *_rows(results, measured.failed),
    ]
    whole = contenders.keys() == CONTENDERS.keys() and not measured.stopped
    write_table("train", lines, whole=whole)
    if whole:
        draw(results, RESULTS / "train.png")


def show(result: dict[str, float]) -> str:
    """What is printed of a result."""
    return f"{result['tokens_per_second']:,.0f} tokens/s"


def _rows(results: dict, failed: dict) -> list[str]:
    lines = []
    for name in dict.fromkeys(name for name, _ in [*results, *failed]):
        cells, waits = [], []
        reference = TRANSFORMER_REFERENCE if "Transformer" in name else REFERENCE
        for precision in ("float32", "bfloat16"):
            runs = results.get((name, precision))
            if runs is None:
                error = failed.get((name, precision))
                cells += [f"does not run here: {error}" if error else "-", "-"]
                continue
            rates = [run["tokens_per_second"] / 1000 for run in runs]
            cells.append(f"{statistics.median(rates):.0f} ({min(rates):.0f}-{max(rates):.0f})")
            others = [
                run["tokens_per_second"] / 1000 for run in results.get((reference, precision), [])
            ]
            ratios = [one / other for one, other in zip(rates, others, strict=False)]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
            waits += [run["input_wait"] for run in runs if "input_wait" in run]
        cells.append(f"{statistics.median(waits):.2%}" if waits else "-")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def draw(results: dict, path: Path) -> None:
    """Bars of the medians, one colour a precision."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in results))[::-1]
    figure, axes = pyplot.subplots(figsize=(8, 4.5))
    for offset, precision, color in ((0.2, "float32", "tab:gray"), (-0.2, "bfloat16", "tab:blue")):
        rates = [
            statistics.median(run["tokens_per_second"] / 1000 for run in runs) if runs else 0
            for runs in (results.get((name, precision)) for name in names)
        ]
        axes.barh(np.arange(len(names)) + offset, rates, 0.38, label=precision, color=color)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("thousand trained tokens a second")
    axes.legend(loc="upper right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
