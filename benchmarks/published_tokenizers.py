"""Which tokenizers are taken, and how fast each encodes on one core.

    python benchmarks/published_tokenizers.py FOLDER [--megabytes 16]

Reads every `tokenizer.json` below FOLDER, which is named by its own folder, loads it as `prepare`
does and encodes ASCII text of the installed Python packages, unit by unit, on one core (a sixteenth
of it where the library `tokenizers` encodes). All figures are CPU time. Writes a table to
`benchmarks/results`.
"""

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from installed_text import make_text  # noqa: E402

from pipeline.errors import UserError  # noqa: E402
from pipeline.vocabulary.loading import load_vocabulary  # noqa: E402
from pipeline.vocabulary.units import UNIT_BYTES  # noqa: E402


def row(path: Path, text: bytes) -> str:
    """A row of the table: what becomes of a tokenizer."""
    try:
        started = time.process_time()
        vocabulary = load_vocabulary(path)
        remark = vocabulary.remark
        seconds = time.process_time() - started
    except UserError as error:
        why = str(error).removeprefix(f"{path}: ").partition(";")[0]
        return f"| {path.parent.name} | refused: {why} | | | |"
    text = text[: len(text) // 16] if remark else text
    started = time.process_time()
    encoder = vocabulary.encoder()
    for start in range(0, len(text), UNIT_BYTES):
        encoder.encode(text[start : start + UNIT_BYTES])
    encoder.encode(b"", final=True)
    rate = len(text) / 1e6 / (time.process_time() - started)
    how = "taken" + (", with `--normalize`" if vocabulary.normalizer else "")
    by = f"tokenizers: {remark.partition(':')[0]}" if remark else "gigatoken"
    ids = f"{vocabulary.size:,}"
    return f"| {path.parent.name} | {how} | {ids} | {seconds:.1f} | {rate:.0f}, {by} |"


def processor() -> str:
    """The name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


def main() -> None:
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=16)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_text(Path(folder, "text.txt"), arguments.megabytes * 10**6)
        text = Path(folder, "text.txt").read_bytes()
    lines = [
        f"# Published tokenizers: {arguments.megabytes} MB of ASCII, one core, CPU time",
        "",
        f"`python benchmarks/published_tokenizers.py FOLDER`, on an {processor()}.",
        "",
        "| tokenizer | | ids | s to load | MB/s, by |",
        "|---|---|---|---|---|",
    ]
    for path in sorted(arguments.folder.rglob("tokenizer.json")):
        lines.append(row(path, text))
        print(lines[-1], flush=True)
    (HERE / "results" / "published_tokenizers.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
