"""How fast shuffled records come, and how well shuffled: textreel beside `tf.data`'s own shuffle.

    python benchmarks/records --folder DIR [--gigabytes 4] [--seconds 15] [--rounds 5]
        [--only NAME...]

Makes a dataset of serialized Examples of lines of text in DIR, as TFDS writes them, and its index.
Every contender is a process that reads batches of 256 records with the same memory: once from the
start, once from the middle of the epoch. Writes a table to `benchmarks/results`.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from installed_text import make_text  # noqa: E402
from peer_environments import versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import add_options, chosen, measure_in_rounds, write_table  # noqa: E402

from pipeline import index_records, open_records  # noqa: E402
from pipeline.auditing.record_quality import measure_records  # noqa: E402

NUM_FILES, SHUFFLE_BYTES, BATCH_SIZE = 64, 256 * 2**20, 256
CONTENDERS = {
    "textreel": ["textreel"],
    "textreel, 1 of 4 hosts": ["textreel", "4"],
    "TFRecordDataset, interleave, shuffle(buffer)": ["tfdata"],
    "limit: TFRecordDataset, interleave, no shuffle": ["unshuffled"],
}


def make_examples(folder: Path, num_bytes: int) -> None:
    """Examples of 1 to 1,000 bytes of text and their number, file after file."""
    import tensorflow as tf

    make_text(folder / "text", 50 * 10**6)
    text = (folder / "text").read_bytes()
    per_file, number, start = num_bytes // NUM_FILES, 0, 0
    for file in range(NUM_FILES):
        path = folder / f"text-train.tfrecord-{file:05}-of-{NUM_FILES:05}"
        written = 0
        with tf.io.TFRecordWriter(str(path)) as out:
            while written < per_file:
                size = 1 + number * 7919 % 1000
                piece = text[start : start + size]
                features = {
                    "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[piece])),
                    "number": tf.train.Feature(int64_list=tf.train.Int64List(value=[number])),
                    "file": tf.train.Feature(int64_list=tf.train.Int64List(value=[file])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                content = example.SerializeToString()
                out.write(content)
                written += len(content) + 16
                number, start = number + 1, (start + size) % (len(text) - 1000)
    (folder / "text").unlink()


def measure(command: list[str]) -> dict[str, float]:
    """Examples a second, and so on, of a contender."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2][-200:])
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def main() -> None:
    """Measures, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--gigabytes", type=float, default=4)
    add_options(parser)
    parser.add_argument("--seconds", type=float, default=15)
    arguments = parser.parse_args()
    contenders = chosen(CONTENDERS, arguments.only)
    folder = arguments.folder / "records"
    folder.mkdir(parents=True)
    try:
        make_examples(folder, int(arguments.gigabytes * 10**9))
        started = time.monotonic()
        index_records([folder / "*.tfrecord-*"], folder / "index")
        indexing = time.monotonic() - started
        records = open_records(folder / "index")
        common = [str(folder), str(SHUFFLE_BYTES), str(BATCH_SIZE), str(arguments.seconds)]
        script = str(HERE / "contender.py")
        commands = {
            name: [sys.executable, script, *common, *kind] for name, kind in contenders.items()
        }
        measured = measure_in_rounds(commands, measure, rounds=arguments.rounds, show=show)
        comparison = measure_records(records, batch_size=BATCH_SIZE, shuffle_bytes=SHUFFLE_BYTES)
    finally:
        shutil.rmtree(folder)
    num_bytes = records.index.num_bytes
    lines = [
        f"# Records a second: {num_bytes / 1e9:.1f} GB of Examples, shuffled batches of "
        f"{BATCH_SIZE}",
        "",
        f"`python benchmarks/records`, {describe()}, shared with other "
        f"work; {measured.rounds_text} (slowest-fastest). {versions_text(folder, [])}. "
        f"{len(records):,} records "
        f"of {records.record_bytes} bytes in the mean in {NUM_FILES} files; "
        f"{SHUFFLE_BYTES // 2**20} MiB for the shuffle; indexed in {indexing:.1f} s. Files "
        "and variance are those of the first 400 batches: of `interleave` at most 16 files, "
        "which it reads at a time. What is resumed: textreel with `start_step`, tf.data "
        "with `skip`.",
        "",
        "| | thousand examples/s | first batch, s | resumed in mid-epoch, s | peak memory, MiB |"
        " files in a batch | variance of a file's share (perfect: 1) |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, runs in measured.results.items():
        rates = sorted(run["rate"] / 1000 for run in runs)
        middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        lines.append(
            f"| {name} | {statistics.median(rates):,.0f} ({rates[0]:,.0f}-{rates[-1]:,.0f}) | "
            f"{middle['first']:.1f} | {middle['resume']:.1f} | {middle['memory']:,.0f} | "
            f"{middle['files']:.1f} | {middle['variance']:.2f} |"
        )
    lines += [f"| {name} | does not run here: {error} |" for name, error in measured.failed.items()]
    lines += [
        "",
        "What `textreel inspect INDEX --shuffle` says, of the whole epoch: variance "
        f"{comparison.ours.variance:.2f}, autocorrelation {comparison.ours.autocorrelation:.3f} "
        f"(groups of this size cannot avoid {comparison.unavoidable:.3f}), neighbours in one batch "
        f"{comparison.ours.same_batch} (a perfect shuffle: "
        f"{comparison.ours.expected_same_batch:.0f}).",
    ]
    write_table("records", lines, whole=contenders == CONTENDERS and not measured.stopped)


def show(result: dict[str, float]) -> str:
    """What is printed of a result."""
    return f"{result['rate']:,.0f} examples/s, first batch after {result['first']:.1f} s"


if __name__ == "__main__":
    main()
