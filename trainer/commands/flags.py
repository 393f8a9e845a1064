"""Flags that several commands have: the run, and which of its checkpoints."""

import argparse


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the positional argument RUN.

    Its attribute is `run_directory`: `run` is the function that a command runs.
    """
    parser.add_argument(
        "run_directory",
        metavar="RUN",
        help="directory of the run: the --output of `textreel train`",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`, the `which` of `trainer.run.checkpoint.restore_weights`."""
    parser.add_argument(
        "--checkpoint",
        choices=("newest", "best"),
        default="newest",
        help="the run's newest checkpoint, or that of the lowest validation loss (default: newest)",
    )
