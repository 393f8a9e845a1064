"""How well models predict known texts, and in what time: textreel beside nanoGPT.

    python benchmarks/quality --texts DIR --environments DIR [--only ROW …] [--seeds 1 2 3]
    python benchmarks/quality --texts DIR --list
    python benchmarks/quality --draw

DIR of `--texts` has `tinyshakespeare.txt` and `warpeace.txt`. Texts are split by position, as
published figures are: training first, then validation. Every run is a process of its own, one
after the other; seeds are the outer loop, so that a first table is there soon. What a run found
is added to `benchmarks/results/quality.jsonl` as it comes, whether it is good or not; the table
and the chart are of all that is in there: `--draw` makes them without a run. What is in there
already, of the same row, options, seed and processor, is not run again.

A row with a time first trains 200 steps to find the rate, and then as many as fit into that time:
compiling, loading and evaluations are not counted in it, but are in the time of the whole process.
The peers run in virtual environments of their own, which are made from PyPI if they are not there.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
from measure import prepared, run_peer, run_textreel  # noqa: E402
from peer_environments import interpreter  # noqa: E402
from processor import describe  # noqa: E402
from results import draw, table_text  # noqa: E402
from rounds import compile_textreel  # noqa: E402
from rows import ROWS  # noqa: E402

RESULTS = HERE.parent / "results" / "quality.jsonl"


def main() -> None:
    """Measures what is asked for, and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--environments", type=Path)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="names of --list, or their starts")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--list", action="store_true", help="name the rows and their minutes")
    parser.add_argument("--draw", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if _is_meant(row.name, arguments.only)]
    if arguments.list:
        for row in rows:
            print(f"{row.name:32} {row.minutes:5.1f} minutes a seed   {row.options_text()}")
        return
    if not rows:
        parser.error(f"--only must name rows of --list, got {' '.join(arguments.only)}")
    if not arguments.draw:
        if arguments.texts is None or arguments.environments is None:
            parser.error("--texts and --environments are needed, or --list or --draw")
        _measure(rows, arguments)
    found = _found()
    RESULTS.with_suffix(".md").write_text(table_text(found, ROWS))
    draw(found, ROWS, RESULTS.with_suffix(".png"))
    print(RESULTS.with_suffix(".md").read_text())


def _measure(rows: list, arguments: argparse.Namespace) -> None:
    compile_textreel()
    processor = describe()
    done = {(one["row"], one["seed"], one["processor"], one["options"]) for one in _found()}
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            for row in rows:
                key = (row.name, seed, processor, row.options_text())
                if key in done:
                    continue
                corpus = prepared(row.text, arguments.texts, Path(folder))
                if row.peer is None:
                    measured = run_textreel(row, corpus, seed, Path(folder))
                else:
                    python = interpreter(arguments.environments, "torch")
                    measured = run_peer(row, corpus, seed, [python, str(HERE / "peers" / row.peer)])
                names = ("row", "seed", "processor", "options")
                line = json.dumps({**dict(zip(names, key, strict=True)), **measured})
                with RESULTS.open("a") as file:
                    file.write(line + "\n")
                print(line[:300], flush=True)


def _found() -> list[dict]:
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    return [json.loads(line) for line in lines]


def _is_meant(name: str, only: list[str] | None) -> bool:
    """Whether a row is named, or has the start of a name that no row has."""
    names = {row.name for row in ROWS}
    return only is None or any(
        name == start or (start not in names and name.startswith(start)) for start in only
    )


if __name__ == "__main__":
    main()
