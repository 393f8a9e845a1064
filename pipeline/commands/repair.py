"""`textreel repair`."""

import argparse
import sys
from typing import Any

from pipeline.auditing.repair import repair
from pipeline.preparing.prepare import default_workers


def add_command(subparsers: Any) -> None:
    """Adds `repair` to what `ArgumentParser.add_subparsers` returned."""
    text = "rebuild from the sources the shards that fail `verify`, byte for byte"
    parser = subparsers.add_parser("repair", help=text, description=text)
    parser.add_argument("corpus", metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="what the corpus was prepared from"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    rebuilt = repair(
        arguments.corpus,
        arguments.sources,
        workers=default_workers() if arguments.workers is None else arguments.workers,
        progress=sys.stderr.isatty(),
    )
    for file in rebuilt:
        print(f"rebuilt {file}")
    print(f"{arguments.corpus} is whole" + ("" if rebuilt else "; there was nothing to rebuild"))
