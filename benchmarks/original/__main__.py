"""The task of Keras's lstm_text_generation.py: the original beside textreel, in one run.

    python benchmarks/original [--only loss memory time] [--megabytes 2] [--rounds 3]

The original is `peers/original.py`. Text: the ASCII files of the installed Python packages, in
lower case, as the original makes it. Writes `benchmarks/results/original.md` and two
charts; with `--only`, or when stopped, the parts that are there, as `original.partial.md`:

- loss: the same model on the same windows (`--targets last --seq_len 40 --stride 3`), the mean
  training loss of every hundred steps, over `--rounds` seeds of each.
- memory: the peak of whole processes against the size of the text.
- time: until textreel, with a target at every place, has the validation bits a character that
  the original reaches after its one epoch.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from loss import Loss, measure_loss  # noqa: E402
from memory import SIZES, Memory, measure_memory  # noqa: E402
from peer_environments import versions_text  # noqa: E402
from processor import describe  # noqa: E402
from race import EVAL_STEPS, UPDATES, Race, measure_race  # noqa: E402
from rounds import RESULTS, compile_textreel, ended_by_signals, write_table  # noqa: E402

PARTS = ("loss", "memory", "time")


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--megabytes", type=float, default=2, help="text of loss and time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loss_steps", type=int, default=1000)
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES, help="MB, of memory")
    arguments = parser.parse_args()
    compile_textreel()
    sections = [
        "# The original's task: lstm_text_generation.py beside textreel",
        f"{describe()}. {versions_text(HERE, [])}.",
    ]
    stopped = False
    with tempfile.TemporaryDirectory() as name, ended_by_signals():
        try:
            for part in tqdm([part for part in PARTS if part in arguments.only], unit="part"):
                sections.append(measure_part(part, Path(name), arguments))
                tqdm.write(sections[-1])
        except KeyboardInterrupt:
            stopped = True
    whole = set(arguments.only) == set(PARTS) and not stopped
    write_table("original", "\n\n".join(sections).split("\n"), whole=whole)


def measure_part(part: str, folder: Path, arguments: argparse.Namespace) -> str:
    """The section of a part; draws its chart."""
    if part == "memory":
        rows = measure_memory(folder, arguments.sizes)
        draw_memory(rows, RESULTS / "original_memory.png")
        return describe_memory(rows)
    text = folder / "text.txt"
    make_text(text, round(arguments.megabytes * 10**6))
    text.write_text(text.read_text().lower())
    if part == "loss":
        measured = measure_loss(text, folder, arguments.rounds, arguments.loss_steps)
        return describe_loss(measured, arguments)
    races = [
        measure_race(text, folder / f"race{number}", number)
        for number in tqdm(range(arguments.rounds), unit="race")
    ]
    draw_time(races[0], RESULTS / "original_time.png")
    return describe_time(races, arguments)


def describe_loss(measured: Loss, arguments: argparse.Namespace) -> str:
    """Means over the seeds, and their spread, hundred steps by hundred."""
    lines = [
        "## The same loss at the same step",
        "",
        f"Mean training loss of every 100 steps, nats a character, {arguments.rounds} seeds each "
        f"(lowest-highest); {arguments.megabytes:g} MB of text.",
        "The same model (identity matrix as frozen `--pretrained_embeddings`: one-hot input), the "
        "same windows, batches of 128, RMSprop at",
        "0.01 without clipping, the same kinds of initial weights. What differs: the random "
        "numbers, and a vocabulary with one id more",
        "(the separator of documents).",
        "",
        "| steps | original | textreel | difference |",
        "|---|---|---|---|",
    ]
    for step, original, ours in zip(
        measured.steps,
        zip(*measured.original, strict=True),
        zip(*measured.ours, strict=True),
        strict=True,
    ):
        means = [statistics.mean(values) for values in (original, ours)]
        cells = [
            f"{mean:.3f} ({min(values):.3f}-{max(values):.3f})"
            for mean, values in zip(means, (original, ours), strict=True)
        ]
        lines.append(f"| {step} | {cells[0]} | {cells[1]} | {means[1] - means[0]:+.3f} |")
    return "\n".join(lines)


def describe_memory(rows: list[Memory]) -> str:
    """A row a size of text."""
    lines = [
        "## Memory",
        "",
        "Peak resident memory of the training process in MB (textreel: 300 steps, the original: "
        "20), and of `textreel prepare`, all its",
        f"processes together. Importing TensorFlow and Keras alone: {rows[0].imported:,.0f} MB. "
        "Sizes that do not fit the memory of this machine",
        "are computed for the original: from its arrays and lists, and along the line through "
        "the two largest measured sizes.",
        "",
        "| text, MB | original | above the import | its arrays and lists | textreel train | "
        "above the import | textreel prepare |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        mark = "" if row.measured else " (computed)"
        lines.append(
            f"| {row.megabytes:g} | {row.original:,.0f}{mark} "
            f"| {row.original - row.imported:,.0f}{mark} | {row.arrays:,.0f} "
            f"| {row.train:,.0f} | {row.train - row.imported:,.0f} | {row.prepare:,.0f} |"
        )
    return "\n".join(lines)


def describe_time(races: list[Race], arguments: argparse.Namespace) -> str:
    """A row a round."""
    lines = [
        "## Time to the quality of the original's epoch",
        "",
        f"{arguments.megabytes:g} MB of text, of which the same 5% are held out. Seconds count "
        "from the start of a process: for the original its",
        "import, vectorisation and epoch, without validation; for textreel `prepare`, and "
        "`train` with its import and every validation",
        f"(every {EVAL_STEPS} steps) until the bits are reached, with `{' '.join(UPDATES)}`,",
        "which were chosen on text of this kind.",
        "Bits a character: the original predicts every third character from the 40 before it; "
        "textreel every character, from what is",
        "before it in windows of 64 that start from nothing.",
        "",
        "| round | original: steps, seconds, bits | textreel: steps, seconds, bits | ratio |",
        "|---|---|---|---|",
    ]
    for number, race in enumerate(races, 1):
        original, ours = race.original[-1], race.reached
        cells = ["not within the original's time", "-"]
        if ours is not None:
            step, seconds, bits = ours
            cells = [f"{step:,}, {seconds:.1f}, {bits:.3f}", f"{seconds / original[1]:.3f}"]
        lines.append(
            f"| {number} | {original[0]:,}, {original[1]:.0f}, {original[2]:.3f} "
            f"| {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def draw_memory(rows: list[Memory], path: Path) -> None:
    """Peak memory against the size of the text, both axes logarithmic."""
    figure, axes = _axes()
    sizes = [row.megabytes for row in rows]
    for figures, color, name in (
        ([row.original / 1000 for row in rows], "tab:gray", "lstm_text_generation.py"),
        ([row.train / 1000 for row in rows], "tab:blue", "textreel train"),
    ):
        axes.plot(sizes, figures, "o-", color=color, label=name)
    for row in rows:
        if not row.measured:
            place = (row.megabytes, row.original / 1000)
            axes.annotate("computed ", place, ha="right", va="center")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.3)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="upper left")
    axes.set_xlabel("text, MB")
    axes.set_ylabel("peak memory of the process, GB")
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def draw_time(race: Race, path: Path) -> None:
    """Validation bits a character against the time since the start."""
    figure, axes = _axes()
    for rows, color, name in (
        (race.original, "tab:gray", "lstm_text_generation.py, one epoch"),
        (race.ours, "tab:blue", "textreel, a target at every character"),
    ):
        axes.plot([row[1] for row in rows], [row[2] for row in rows], color=color, label=name)
    axes.axhline(race.original[-1][2], color="tab:gray", linestyle=":")
    axes.set_xlabel("seconds since the start")
    axes.set_ylabel("validation bits a character")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def _axes() -> tuple:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(7, 4))


if __name__ == "__main__":
    main()
