"""How fast windows come: textreel beside its peers, in one run.

    python benchmarks/windows --environments DIR [--megabytes 50] [--rounds 5] [--seconds 1.5]
        [--only NAME...]

Every contender is a process that makes shuffled batches of inputs and targets of the same text of
bytes, and counts windows. The rounds go through all contenders in turn. Peers run in virtual
environments of their own, which are made in DIR from PyPI if they are not there. Writes a table
and a chart to `benchmarks/results`; with `--only`, or when stopped, `windows.partial.md`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peer_environments import interpreter, versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import RESULTS, add_options, chosen, measure_in_rounds, write_table  # noqa: E402

CONTENDERS = {  # name -> (script, environment, its packages)
    "textreel, loop in a tf.function": ("textreel_function.py", None),
    "textreel, loop in Python": ("textreel_python.py", None),
    "textreel, NumPy arrays": ("textreel_arrays.py", None),
    "window/flat_map, as documented": ("recipe.py", None),
    "keras timeseries_dataset_from_array": ("keras_timeseries.py", None),
    "nanoGPT get_batch": ("nanogpt.py", "litdata"),
    "torch DataLoader over a memmap": ("torch_dataloader.py", "litdata"),
    "Hugging Face datasets": ("hf_datasets.py", "datasets"),
    "LitData StreamingDataset": ("litdata_tokens.py", "litdata"),
    "Mosaic StreamingDataset": ("mosaic_mds.py", "mosaicml-streaming"),
    "TFDS as_dataset": ("tfds_as_dataset.py", None),
    "Grain over a memmap": ("grain_memmap.py", "grain"),
    "Grain over array_record": ("grain_array_record.py", "grain"),
    "limit: one NumPy gather": ("limit_gather.py", None),
}


def measure(command: list[str]) -> dict[str, tuple[float, float]]:
    """Geometry -> windows a second, and seconds to the first batch."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2][-200:])
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[[")]
    return {str(tuple(geometry)): (rate, first) for geometry, rate, first in lines}


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=50)
    add_options(parser)
    parser.add_argument("--seconds", type=float, default=1.5)
    arguments = parser.parse_args()
    contenders = chosen(CONTENDERS, arguments.only)
    with tempfile.TemporaryDirectory() as folder:
        text = f"{folder}/text.txt"
        make_text(Path(text), arguments.megabytes * 10**6)
        np.fromfile(text, np.uint8).astype(np.uint16).tofile(f"{text}.uint16")
        prepare = ["prepare", text, "--output", f"{text}.corpus", "--splits", "train=1"]
        subprocess.run([sys.executable, "-m", "pipeline", *prepare], check=True)
        commands = {
            name: [
                interpreter(arguments.environments, packages),
                str(HERE / "peers" / script),
                text,
                str(arguments.seconds),
            ]
            for name, (script, packages) in contenders.items()
        }
        measured = measure_in_rounds(commands, measure, rounds=arguments.rounds, show=show)
    results = measured.results
    geometries = list(dict.fromkeys(key for runs in results.values() for key in runs[0]))
    environments = [environment for _, environment in contenders.values()]
    lines = [
        f"# Windows a second: {arguments.megabytes} MB of bytes, shuffled batches",
        "",
        f"`python benchmarks/windows`, {describe()}, {measured.rounds_text}"
        " (slowest-fastest); columns are (seq_len, stride, batch_size), in thousands of windows. "
        f"{versions_text(arguments.environments, environments)}.",
        "",
        f"| | {' | '.join(geometries)} | first batch, s |",
        "|---|" + "---|" * (len(geometries) + 1),
    ]
    for name, runs in results.items():
        cells = []
        for geometry in geometries:
            rates = sorted(run[geometry][0] / 1000 for run in runs if geometry in run)
            cells.append(
                f"{statistics.median(rates):,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f})"
                if rates
                else "-"
            )
        first = statistics.median(first for run in runs for _, first in run.values())
        lines.append(f"| {name} | {' | '.join(cells)} | {first:.2f} |")
    lines += [f"| {name} | does not run here: {error} |" for name, error in measured.failed.items()]
    whole = contenders.keys() == CONTENDERS.keys() and not measured.stopped
    write_table("windows", lines, whole=whole)
    if whole:
        draw(results, geometries, RESULTS / "windows.png")


def show(result: dict[str, tuple[float, float]]) -> str:
    """What is printed of a result."""
    rates = ", ".join(f"{geometry}: {rate:,.0f}" for geometry, (rate, _) in result.items())
    return f"{rates} windows/s"


def draw(results: dict, geometries: list[str], path: Path) -> None:
    """Bars of the medians, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, len(geometries), figsize=(13, 4), sharey=True)
    names = list(results)[::-1]
    for axes, geometry in zip(all_axes, geometries, strict=True):
        rates = [
            statistics.median([run[geometry][0] for run in results[name] if geometry in run] or [0])
            for name in names
        ]
        colors = ["tab:blue" if "textreel" in name else "tab:gray" for name in names]
        axes.barh(names, rates, color=colors)
        axes.set_xscale("log")
        axes.set_title(geometry)
        axes.set_xlabel("windows a second")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
