"""`textreel verify`: is a corpus whole?"""

import argparse
import shlex
import sys
from typing import Any

from pipeline.auditing.verify import Findings, verify
from pipeline.commands.flags import add_workers
from pipeline.errors import UserError
from pipeline.preparing.engines.local import checked_workers
from pipeline.terminal import show

_MAX_SHOWN = 10


def add_command(subparsers: Any) -> None:
    """Adds `verify` to what `ArgumentParser.add_subparsers` returned."""
    text = "check every digest, count and fingerprint of a corpus, and that splits share no text"
    parser = subparsers.add_parser("verify", help=text, description=text)
    parser.add_argument("corpus", metavar="CORPUS", help="directory of the corpus")
    add_workers(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    findings = verify(
        arguments.corpus, workers=checked_workers(arguments.workers), progress=sys.stderr.isatty()
    )
    show(findings_text(findings))
    if findings.problems:
        raise UserError(
            f"{arguments.corpus} is damaged, {len(findings.bad_shards)} shards of it; mend what "
            f"can be mended: textreel repair {shlex.quote(arguments.corpus)} SOURCE…"
        )


def findings_text(findings: Findings) -> str:
    """Returns what was found, for people."""
    lines = [f"{findings.num_shards:,} shards, {findings.num_documents:,} whole documents"]
    for (first, second), count in findings.duplicates.items():
        lines.append(
            f"note: {count:,} documents of {second} are in {first} too, word for word (copies "
            "among the sources); a model has seen them before it is measured on them"
        )
    lines += findings.problems[:_MAX_SHOWN]
    if len(findings.problems) > _MAX_SHOWN:
        lines.append(f"… and {len(findings.problems) - _MAX_SHOWN} more problems")
    lines.append(f"{len(findings.problems)} problems" if findings.problems else "all is well")
    return "\n".join(lines)
