"""Flags that several commands have: the run, which of its checkpoints, and trust in its code."""

import argparse

from pipeline.errors import OptionError
from pipeline.options import path_flag
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig, run_config
from trainer.config.saved import read_run


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds the positional argument RUN.

    Its attribute is `run_directory`: `run` is the function that a command runs.
    """
    parser.add_argument(
        "run_directory",
        type=path_flag,
        metavar="RUN",
        help="directory of the run: the RUN of `textreel train CORPUS -o RUN`",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`, the `which` of `trainer.run.checkpoint.find_checkpoint`."""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "newest"),
        help="the run's checkpoint of the lowest validation loss, or its newest one (default: "
        "best; newest for a run that is not evaluated)",
    )


def add_code(parser: argparse.ArgumentParser) -> None:
    """Adds `--model` and `--allow_code`: see `allows_code`."""
    parser.add_argument(
        "--model",
        metavar="MODULE:FUNCTION",
        help="the run's --model, where that is code of its own: without this or --allow_code, none "
        "that a run names is run",
    )
    parser.add_argument(
        "--allow_code",
        action="store_true",
        help="run the code that the run names as its model, whatever it is",
    )


def allows_code(arguments: argparse.Namespace) -> bool:
    """Whether the flags allow to run the code that the run names.

    Raises:
        OptionError: `--model` is not the run's.
        UserError: the directory is no run.
    """
    if arguments.model is None:
        return bool(arguments.allow_code)
    model = run_config(arguments.run_directory).model
    if arguments.model != model:
        raise OptionError(
            f"`model` must be the one of the run {arguments.run_directory}, {model!r}, got "
            f"{arguments.model!r}; leave --model out, or give that one if you trust it"
        )
    return True


def read_named_run(arguments: argparse.Namespace) -> tuple[TrainConfig, Vocabulary]:
    """Reads the run that the flags name, before TensorFlow is loaded: a wrong one is told at once.

    Raises:
        OptionError: `--model` is not the run's.
        UserError: see `read_run`.
    """
    return read_run(arguments.run_directory, allow_code=allows_code(arguments))
