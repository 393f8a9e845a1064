"""`textreel repair`: rebuild what is damaged."""

import argparse

from pipeline.auditing.repair import repair
from pipeline.commands.flags import add_quiet, add_workers, shows_progress
from pipeline.options import path_flag
from pipeline.parsing import CommandParser
from pipeline.preparing.engines.local import checked_workers
from pipeline.terminal import show


def add_arguments(parser: CommandParser) -> None:
    """Adds what `repair` takes to its parser."""
    parser.add_argument("corpus", type=path_flag, metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "sources",
        nargs="+",
        type=path_flag,
        metavar="SOURCE",
        help="what the corpus was prepared from",
    )
    add_workers(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run, resumes=True)


def _run(arguments: argparse.Namespace) -> None:
    rebuilt = repair(
        arguments.corpus,
        arguments.sources,
        workers=checked_workers(arguments.workers),
        progress=shows_progress(arguments),
    )
    for file in rebuilt:
        show(f"rebuilt {file}")
    show(f"{arguments.corpus} is whole" + ("" if rebuilt else "; there was nothing to rebuild"))
