"""`textreel verify`: is a corpus whole?"""

import argparse
import shlex
from typing import Any

from pipeline.auditing.near_duplicates import (
    LEAST_SIMILARITY,
    NearDuplicates,
    find_near_duplicates,
)
from pipeline.auditing.passages import passage_text
from pipeline.auditing.signatures import check_installed
from pipeline.auditing.verify import Findings, verify
from pipeline.commands.flags import add_json, add_quiet, add_workers, shows_progress
from pipeline.errors import UserError
from pipeline.options import path_flag
from pipeline.parsing import CommandParser
from pipeline.preparing.engines.local import checked_workers
from pipeline.sizes import count_text
from pipeline.terminal import show, show_json

_MAX_SHOWN = 10


def add_arguments(parser: CommandParser) -> None:
    """Adds what `verify` takes to its parser."""
    parser.add_argument("corpus", type=path_flag, metavar="CORPUS", help="directory of the corpus")
    add_workers(parser)
    add_json(parser)
    add_quiet(parser)
    parser.add_argument(
        "--near_duplicates",
        action="store_true",
        help="also find passages of a split that stand in a larger one with some words changed; "
        "any is a failure (exit code 1)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    workers, progress = checked_workers(arguments.workers), shows_progress(arguments)
    if arguments.near_duplicates:
        check_installed()
    findings = verify(arguments.corpus, workers=workers, progress=progress)
    if not arguments.json:
        show(findings_text(findings))
    near = None
    if arguments.near_duplicates and not findings.problems:
        near = find_near_duplicates(
            arguments.corpus, workers=workers, num_shown=_MAX_SHOWN, progress=progress
        )
        if not arguments.json:
            show(near_duplicates_text(near))
    if arguments.json:
        show_json(_values(arguments.corpus, findings, near))
    if findings.problems:
        num_bad = len(findings.bad_shards)
        shards = f", {count_text(num_bad, 'shard')} of it" if num_bad else ""
        raise UserError(
            f"{arguments.corpus} is damaged{shards}; mend what can be mended: "
            f"textreel repair {shlex.quote(arguments.corpus)} SOURCE…"
        )
    if near is not None and near.num_found:
        raise UserError(
            f"{arguments.corpus} is whole, but nearly the same passages are in two splits "
            f"({sum(near.num_found.values()):,} of them): take the copies out of the sources, or "
            "leave them out with `--glob`, and prepare these into a new corpus"
        )


def _values(corpus: str, findings: Findings, near: NearDuplicates | None) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "directory": corpus,
        "is_whole": not findings.problems,
        "num_shards": findings.num_shards,
        "num_documents": findings.num_documents,
        "problems": findings.problems,
        "bad_shards": findings.bad_shards,
        "duplicates": [
            {"splits": splits, "num_documents": count}
            for splits, count in findings.duplicates.items()
        ],
        "near_duplicates": near,
    }


def findings_text(findings: Findings) -> str:
    """Returns what was found, for people."""
    documents = count_text(findings.num_documents, "document")
    lines = [f"{count_text(findings.num_shards, 'shard')}, {documents} compared between splits"]
    for (first, second), count in findings.duplicates.items():
        lines.append(
            f"note: {second} has {count_text(count, 'document')} that {first} has too, word for "
            "word (copies among the sources); a model has seen such before it is measured on them"
        )
    lines += findings.problems[:_MAX_SHOWN]
    if len(findings.problems) > _MAX_SHOWN:
        lines.append(f"… and {len(findings.problems) - _MAX_SHOWN} more")
    problems = count_text(len(findings.problems), "problem")
    lines.append(problems if findings.problems else "all is well")
    return "\n".join(lines)


def near_duplicates_text(near: NearDuplicates) -> str:
    """Returns the near-duplicates that were found, for people."""
    if not near.num_passages:
        return "near-duplicates: the corpus has one split, so none is in another"
    lines = []
    for split, num_passages in near.num_passages.items():
        found = near.num_found.get(split, 0)
        lines.append(
            f"near-duplicates: of {count_text(num_passages, 'passage')} of {split}, {found:,} in "
            f"a larger split, at least {LEAST_SIMILARITY:.0%} alike"
        )
    for similarity, place, other in near.most_similar:
        lines.append(
            f"  {similarity:.0%}: {place.split}, {passage_text(place.passage)} = "
            f"{other.split}, {passage_text(other.passage)}"
        )
    if (rest := sum(near.num_found.values()) - len(near.most_similar)) > 0:
        lines.append(f"  … and {rest:,} more")
    return "\n".join(lines)
