"""The flag that says which checkpoint of a run a command takes."""

import argparse


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`, the `which` of `trainer.run.checkpoint.restore_weights`."""
    parser.add_argument(
        "--checkpoint",
        choices=("newest", "best"),
        default="newest",
        help="the run's newest checkpoint, or that of the lowest validation loss (default: newest)",
    )
