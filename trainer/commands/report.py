"""`textreel report`: a corpus and its runs on one page, to look at."""

import argparse

from pipeline.commands.flags import add_output, add_quiet, shows_progress
from pipeline.options import path_flag
from pipeline.parsing import CommandParser, integer
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN
from pipeline.sizes import size_text
from pipeline.terminal import show, status


def add_arguments(parser: CommandParser) -> None:
    """Adds what `report` takes to its parser."""
    parser.add_argument("corpus", type=path_flag, metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "--run",
        dest="runs",
        nargs="+",
        default=[],
        type=path_flag,
        metavar="RUN",
        help="directories of runs: the RUN of `textreel train CORPUS -o RUN`",
    )
    add_output(parser, "the page", metavar="FILE", default="report.html")
    for option, default in {"seq_len": DEFAULT_SEQ_LEN, "batch_size": DEFAULT_BATCH_SIZE}.items():
        parser.add_argument(
            f"--{option}",
            type=integer,
            default=default,
            metavar="N",
            help="of the batches that are shown (default: %(default)s)",
        )
    parser.add_argument(
        "--audit",
        action="store_true",
        default=None,
        help="look for leaks between the splits and for damage however large the corpus is; "
        "without it: where it has at most 268 MB",
    )
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    with status("loading", shown=not arguments.quiet):
        from trainer.pages.report import ReportOptions, write_report

    options = ReportOptions(
        seq_len=arguments.seq_len, batch_size=arguments.batch_size, audit=arguments.audit
    )
    num_bytes = write_report(
        arguments.corpus,
        arguments.runs,
        arguments.output,
        options,
        progress=shows_progress(arguments),
    )
    if not arguments.quiet:
        show(f"wrote {arguments.output}, {size_text(num_bytes)}")
