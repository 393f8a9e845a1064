"""`textreel train`: the same flags and the same work as `python -m trainer.task`."""

from pipeline.parsing import CommandParser
from trainer import task


def add_arguments(parser: CommandParser) -> None:
    """Adds what `train` takes to its parser."""
    parser.usage = task.USAGE
    task.add_arguments(parser)
