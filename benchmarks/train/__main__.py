"""How fast an LSTM trains: textreel beside its peers, in one run.

    python benchmarks/train --environments DIR [--megabytes 10] [--rounds 5] [--seconds 5]
        [--only NAME...] [--precision float32|bfloat16...] [--as_avx2]

Every contender is a process that trains the same model (Embedding 64 -> LSTM 256 -> Dense, a
target at every place) on the same characters, in batches of 64 windows of 64, with Adam; or a GRU
in its place; or a Transformer of one of nanoGPT's sizes, on characters or on subwords. The rate
counts trained tokens after a warm-up. The rounds go through all contenders in turn. Peers run in
virtual environments of their own, which are made in DIR from PyPI if they are not there. Writes a
table and a chart to `benchmarks/results`; a part, or when stopped, `train.partial.md`.

With `--as_avx2` libraries are told that the processor has AVX2 and no more: an imitation of such a
one, into `train_as_avx2.md`. LSTMs in float32 alone, and textreel with `--jit off`: XLA's products
do not obey (`jit_compile` and JAX are left out).
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


def _transformer(size: str) -> list[str]:
    names = ("layers", "units", "heads", "batch_size", "seq_len")
    flags = [f"--{name}={value}" for name, value in zip(names, size.split(), strict=True)]
    return ["--model=transformer", *flags]


# Layers, units, heads, windows, places; 4 x 128 is nanoGPT's recipe for a CPU, 6 x 384 that for
# characters on a GPU, in smaller batches.
TRANSFORMERS = {
    "4 x 128, 12 x 64": _transformer("4 128 4 12 64"),
    "4 x 256, 64 x 64": _transformer("4 256 4 64 64"),
    "6 x 384, 8 x 256": _transformer("6 384 6 8 256"),
    "4 x 256, 64 x 64, 8,192 ids": _transformer("4 256 4 64 64"),
}
_GRU = "--model=gru"
CONTENDERS = {  # (name, precision) -> (script, its arguments, environment)
    ("textreel train", "float32"): ("textreel_train.py", [], None),
    ("textreel train", "bfloat16"): ("textreel_train.py", ["--precision=bfloat16"], None),
    ("Keras fit, steps_per_execution 32", "float32"): ("keras_fit.py", [], None),
    ("Keras fit, steps_per_execution 32", "bfloat16"): ("keras_fit.py", ["bfloat16"], None),
    ("Keras fit, jit_compile", "float32"): ("keras_fit.py", ["jit"], None),
    ("Keras fit, jit_compile", "bfloat16"): ("keras_fit.py", ["jit", "bfloat16"], None),
    ("PyTorch nn.LSTM", "float32"): ("torch_recurrent.py", [], "torch"),
    ("PyTorch nn.LSTM", "bfloat16"): ("torch_recurrent.py", ["bfloat16"], "torch"),
    ("PyTorch nn.LSTM, compile", "float32"): ("torch_recurrent.py", ["compile"], "torch"),
    ("JAX scan, optax", "float32"): ("jax_scan.py", [], "jax"),
    ("JAX scan, optax", "bfloat16"): ("jax_scan.py", ["bfloat16"], "jax"),
    ("textreel train, GRU", "float32"): ("textreel_train.py", [_GRU], None),
    ("textreel train, GRU", "bfloat16"): (
        "textreel_train.py",
        [_GRU, "--precision=bfloat16"],
        None,
    ),
    ("PyTorch nn.GRU", "float32"): ("torch_recurrent.py", [_GRU], "torch"),
    ("PyTorch nn.GRU", "bfloat16"): ("torch_recurrent.py", [_GRU, "bfloat16"], "torch"),
    **{
        (f"{name}, {size}", precision): (
            script,
            [*flags, *([] if precision == "float32" else [f"{dashes}bfloat16"])],
            packages,
        )
        for size, flags in TRANSFORMERS.items()
        for name, script, dashes, packages in (
            ("textreel train, Transformer", "textreel_train.py", "--precision=", None),
            ("nanoGPT's Transformer", "torch_transformer.py", "", "torch"),
            ("KerasHub's Transformer, fit", "keras_fit.py", "", "keras-hub"),
        )
        for precision in ("float32", "bfloat16")
    },
    ("nanoGPT's Transformer, compile, 4 x 256, 64 x 64", "float32"): (
        "torch_transformer.py",
        [*TRANSFORMERS["4 x 256, 64 x 64"], "compile"],
        "torch",
    ),
    ("limit: the matrix products", "float32"): ("limit_products.py", [], None),
    ("limit: the matrix products", "bfloat16"): ("limit_products.py", ["bfloat16"], None),
}
REFERENCE = "PyTorch nn.LSTM"
GRU_REFERENCE = "PyTorch nn.GRU"
TRANSFORMER_REFERENCE = "nanoGPT's Transformer"
SUBWORDS = "8,192 ids"
AS_AVX2 = {  # oneDNN's, MKL's, PyTorch's and XLA's own variables
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",
}
OBEYS_AVX2 = ("steps_per_execution", "nn.LSTM", "limit")


def measure(command: list[str]) -> dict[str, float]:
    """What a contender prints last: tokens a second, its loss and, if known, its input wait."""
    variables = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(HERE.parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2][-200:])
    return json.loads(lines[-1])


def make_corpus(folder: str, text: Path, vocabulary: str) -> tuple[str, int]:
    """A corpus of a text, and its ids in one file for the peers.

    Returns:
        The file's path (the corpus lies beside it as `.corpus`) and the number of ids.
    """
    ids = f"{folder}/{vocabulary.replace(':', '')}"
    prepare = ["prepare", str(text), "--output", f"{ids}.corpus", "--splits", "train=1"]
    subprocess.run(
        [sys.executable, "-m", "pipeline", *prepare, "--vocabulary", vocabulary], check=True
    )
    learned = open_corpus(f"{ids}.corpus").vocabulary
    dtype = np.uint8 if learned.size <= 256 else np.uint16
    np.array(learned.encode(text.read_text()), dtype).tofile(ids)
    return ids, learned.size


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--megabytes", type=float, default=10)
    add_options(parser, precision=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--as_avx2", action="store_true", help="imitate another processor")
    arguments = parser.parse_args()
    table, processor, all_contenders = "train", describe(), CONTENDERS
    if arguments.as_avx2:
        os.environ.update(AS_AVX2)
        table, processor = "train_as_avx2", f"{processor}, of which AVX2 is used and no more"
        all_contenders = {
            ("textreel train, --jit off", "float32"): ("textreel_train.py", ["--jit=off"], None),
            **{
                key: contender
                for key, contender in CONTENDERS.items()
                if key[1] == "float32" and any(name in key[0] for name in OBEYS_AVX2)
            },
        }
    contenders = {
        key: contender
        for key, contender in chosen(all_contenders, arguments.only).items()
        if key[1] in arguments.precision
    }
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        make_text(text, round(arguments.megabytes * 10**6))
        corpora = {
            subwords: make_corpus(folder, text, vocabulary)
            for subwords, vocabulary in ((False, "char"), (True, "bpe:8192"))
            if not subwords or any(SUBWORDS in name for name, _ in contenders)
        }
        commands = {
            key: [
                interpreter(arguments.environments, packages),
                str(HERE / "peers" / script),
                *map(str, corpora[SUBWORDS in key[0]]),
                str(arguments.seconds),
                *options,
            ]
            for key, (script, options, packages) in contenders.items()
        }
        measured = measure_in_rounds(commands, measure, rounds=arguments.rounds, show=show)
    results = measured.results
    environments = [environment for _, _, environment in contenders.values()]
    lines = [
        "# Tokens a second in training on a CPU: Embedding 64, LSTM 256, Dense, and others",
        "",
        f"`python benchmarks/train`, {processor}, {arguments.megabytes:g} MB of text, "
        f"{corpora[False][1]} characters, batches of",
        f"64 windows of 64, Adam without clipping; {measured.rounds_text} "
        "(slowest-fastest), in thousands. The ratio is the",
        f"median over the rounds of the rate beside that of {REFERENCE}, of a GRU beside "
        f"{GRU_REFERENCE}, of a Transformer (layers x units, windows x places) beside "
        f"{TRANSFORMER_REFERENCE} of the same size,",
        "in the same precision and round. Memory: the largest resident set, float32 / bfloat16.",
        f"{versions_text(arguments.environments, environments)}.",
        "",
        "| | float32 | ratio | bfloat16 | ratio | waits for input | memory, GB |",
        "|---|---|---|---|---|---|---|",
        *_rows(results, measured.failed),
    ]
    whole = contenders.keys() == all_contenders.keys() and not measured.stopped
    write_table(table, lines, whole=whole)
    if whole and not arguments.as_avx2:
        draw(results, RESULTS / "train.png")


def show(result: dict[str, float]) -> str:
    """What is printed of a result."""
    return f"{result['tokens_per_second']:,.0f} tokens/s"


def _rows(results: dict, failed: dict) -> list[str]:
    lines = []
    for name in dict.fromkeys(name for name, _ in [*results, *failed]):
        cells, waits, memory = [], [], []
        reference = GRU_REFERENCE if "GRU" in name else REFERENCE
        if "Transformer" in name:
            size = next(size for size in TRANSFORMERS if name.endswith(size))
            reference = f"{TRANSFORMER_REFERENCE}, {size}"
        for precision in ("float32", "bfloat16"):
            runs = results.get((name, precision))
            if runs is None:
                error = failed.get((name, precision))
                cells += [f"does not run here: {error}" if error else "-", "-"]
                continue
            rates = [run["tokens_per_second"] / 1000 for run in runs]
            cells.append(f"{statistics.median(rates):.3g} ({min(rates):.3g}-{max(rates):.3g})")
            others = [
                run["tokens_per_second"] / 1000 for run in results.get((reference, precision), [])
            ]
            ratios = [one / other for one, other in zip(rates, others, strict=False)]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
            waits += [run["input_wait"] for run in runs if "input_wait" in run]
            memory.append(f"{statistics.median(run['gigabytes'] for run in runs):.2f}")
        cells.append(f"{statistics.median(waits):.2%}" if waits else "-")
        cells.append(" / ".join(memory) or "-")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def draw(results: dict, path: Path) -> None:
    """Bars of the medians, one colour a precision."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in results))[::-1]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.35 * len(names)))
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
