"""`textreel train`: the same flags and the same work as `python -m trainer.task`."""

from typing import Any

from trainer import task


def add_command(subparsers: Any) -> None:
    """Adds `train` to what `ArgumentParser.add_subparsers` returned."""
    text = "train a model on a corpus, or resume a run"
    parser = subparsers.add_parser("train", usage=task.USAGE, help=text, description=text)
    task.add_arguments(parser)
