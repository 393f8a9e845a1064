"""`textreel evaluate`: how well a trained model predicts a split."""

import argparse
from typing import Any

from trainer.commands.checkpoint_flag import add_checkpoint


def add_command(subparsers: Any) -> None:
    """Adds `evaluate` to what `ArgumentParser.add_subparsers` returned."""
    text = "measure a trained model on a split, every window once"
    parser = subparsers.add_parser("evaluate", help=text, description=text)
    # `run` is the name of the function that a sub-command runs, hence the other `dest`.
    parser.add_argument(
        "run_directory", metavar="RUN", help="directory of the run: the --output of `train`"
    )
    parser.add_argument(
        "--corpus", metavar="DIR", help="a corpus with the run's vocabulary (default: the run's)"
    )
    parser.add_argument(
        "--split",
        dest="validation_split",
        metavar="NAME",
        help="split to measure (default: the run's --validation_split)",
    )
    add_checkpoint(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.evaluation.assess import assess

    assessment = assess(
        arguments.run_directory,
        corpus=arguments.corpus,
        split=arguments.validation_split,
        checkpoint=arguments.checkpoint,
    )
    print(f"{assessment.num_windows:,} windows: {assessment}")
