"""`textreel repair`: rebuild what is damaged."""

import argparse
import sys
from typing import Any

from pipeline.auditing.repair import repair
from pipeline.commands.flags import add_workers, workers_of


def add_command(subparsers: Any) -> None:
    """Adds `repair` to what `ArgumentParser.add_subparsers` returned."""
    text = "rebuild from the sources the shards that fail `verify`, byte for byte"
    parser = subparsers.add_parser("repair", help=text, description=text)
    parser.add_argument("corpus", metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="what the corpus was prepared from"
    )
    add_workers(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    rebuilt = repair(
        arguments.corpus,
        arguments.sources,
        workers=workers_of(arguments),
        progress=sys.stderr.isatty(),
    )
    for file in rebuilt:
        print(f"rebuilt {file}")
    print(f"{arguments.corpus} is whole" + ("" if rebuilt else "; there was nothing to rebuild"))
