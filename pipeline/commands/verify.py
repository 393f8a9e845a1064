"""`textreel verify`: is a corpus whole?"""

import argparse
import shlex
import sys
from typing import Any

from pipeline.auditing.near_duplicates import (
    LEAST_SIMILARITY,
    NearDuplicates,
    find_near_duplicates,
)
from pipeline.auditing.passages import passage_text
from pipeline.auditing.signatures import check_installed
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
    parser.add_argument(
        "--near_duplicates",
        action="store_true",
        help="also find passages of a split that stand in a larger one with some words changed; "
        "any is a failure (exit code 1)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    workers, progress = checked_workers(arguments.workers), sys.stderr.isatty()
    if arguments.near_duplicates:
        check_installed()
    findings = verify(arguments.corpus, workers=workers, progress=progress)
    show(findings_text(findings))
    if findings.problems:
        raise UserError(
            f"{arguments.corpus} is damaged, {len(findings.bad_shards)} shards of it; mend what "
            f"can be mended: textreel repair {shlex.quote(arguments.corpus)} SOURCE…"
        )
    if arguments.near_duplicates:
        near = find_near_duplicates(
            arguments.corpus, workers=workers, num_shown=_MAX_SHOWN, progress=progress
        )
        show(near_duplicates_text(near))
        if near.num_found:
            raise UserError(
                f"{arguments.corpus}: {sum(near.num_found.values()):,} passages are nearly in two "
                "splits; take the copies out of the sources, or leave them out with `--glob`, and "
                "prepare the corpus again"
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


def near_duplicates_text(near: NearDuplicates) -> str:
    """Returns the near-duplicates that were found, for people."""
    if not near.num_passages:
        return "near-duplicates: the corpus has one split, so none is in another"
    lines = []
    for split, num_passages in near.num_passages.items():
        found = near.num_found.get(split, 0)
        lines.append(
            f"near-duplicates: {found:,} of {num_passages:,} passages of {split} are in a larger "
            f"split, at least {LEAST_SIMILARITY:.0%} alike"
        )
    for similarity, place, other in near.most_similar:
        lines.append(
            f"  {similarity:.0%}: {place.split}, {passage_text(place.passage)} = "
            f"{other.split}, {passage_text(other.passage)}"
        )
    if (rest := sum(near.num_found.values()) - len(near.most_similar)) > 0:
        lines.append(f"  … and {rest:,} more")
    return "\n".join(lines)
