"""`textreel curves`: the losses of runs in one picture."""

import argparse

from pipeline.commands.flags import add_output, add_quiet, shows_progress
from pipeline.options import path_flag
from pipeline.parsing import CommandParser
from pipeline.sizes import count_text
from pipeline.terminal import show, status


def add_arguments(parser: CommandParser) -> None:
    """Adds what `curves` takes to its parser."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=path_flag,
        metavar="RUN",
        help="directory of a run: the RUN of `textreel train CORPUS -o RUN`",
    )
    add_output(parser, "the picture", metavar="FILE", default="curves.png")
    parser.add_argument(
        "--x",
        choices=["steps", "tokens", "seconds"],
        default="steps",
        help="what goes to the right; seconds are those in training steps (default: %(default)s)",
    )
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from trainer.reports.curves import draw_curves

    with status("drawing", shown=shows_progress(arguments)):
        draw_curves(arguments.runs, arguments.output, x=arguments.x)
    if not arguments.quiet:
        show(f"drew {count_text(len(arguments.runs), 'run')} into {arguments.output}")
