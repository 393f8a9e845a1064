"""Which tokenizers are taken, and how fast each encodes on one core.

    python benchmarks/published_tokenizers.py FOLDER [--megabytes 16] [--only NAME...]

Reads every `tokenizer.json` below FOLDER, which is named by its own folder, loads it as `prepare`
does and encodes ASCII text of the installed Python packages, unit by unit, on one core (a sixteenth
of it where the library `tokenizers` encodes). All figures are CPU time. Writes a table to
`benchmarks/results`; with `--only`, or when stopped, `published_tokenizers.partial.md`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from installed_text import make_text  # noqa: E402
from peer_environments import versions_text  # noqa: E402
from processor import describe  # noqa: E402
from rounds import ended_by_signals, write_table  # noqa: E402

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


def main() -> None:
    """Measures, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of folders")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_text(Path(folder, "text.txt"), arguments.megabytes * 10**6)
        text = Path(folder, "text.txt").read_bytes()
    lines = [
        f"# Published tokenizers: {arguments.megabytes} MB of ASCII, one core, CPU time",
        "",
        f"`python benchmarks/published_tokenizers.py FOLDER`, {describe()}. "
        f"{versions_text(HERE, [])}.",
        "",
        "| tokenizer | | ids | s to load | MB/s, by |",
        "|---|---|---|---|---|",
    ]
    paths = [
        path
        for path in sorted(arguments.folder.rglob("tokenizer.json"))
        if not arguments.only or path.parent.name in arguments.only
    ]
    whole = not arguments.only
    try:
        with ended_by_signals():
            for path in tqdm(paths, unit="tokenizer"):
                lines.append(row(path, text))
                tqdm.write(lines[-1])
    except KeyboardInterrupt:
        whole = False
    write_table("published_tokenizers", lines, whole=whole)


if __name__ == "__main__":
    main()
