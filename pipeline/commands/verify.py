"""`textreel verify`."""

import argparse
import sys
from typing import Any

from pipeline.auditing.verify import describe, verify
from pipeline.errors import UserError
from pipeline.preparing.prepare import default_workers


def add_command(subparsers: Any) -> None:
    """Adds `verify` to what `ArgumentParser.add_subparsers` returned."""
    text = "check every digest, count and fingerprint of a corpus, and that splits share no text"
    parser = subparsers.add_parser("verify", help=text, description=text)
    parser.add_argument("corpus", metavar="CORPUS", help="directory of the corpus")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a core)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    report = verify(
        arguments.corpus,
        workers=default_workers() if arguments.workers is None else arguments.workers,
        progress=sys.stderr.isatty(),
    )
    print(describe(report))
    if report.bad_shards:
        raise UserError(
            f"{len(report.bad_shards)} shards fail; rebuild them:"
            f" textreel repair {arguments.corpus} SOURCE…"
        )
    if report.problems:
        raise UserError(f"{arguments.corpus} is damaged; prepare it again")
