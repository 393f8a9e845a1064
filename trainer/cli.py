"""Command line `textreel`: everything from text to generated text, one sub-command each."""

import argparse
import sys
from typing import TYPE_CHECKING

import pipeline.cli

if TYPE_CHECKING:
    from pipeline.auditing.trace import Training
    from pipeline.commands.plan import WhatIf

_COMMANDS = {  # in `trainer.commands`
    "train": "train a model on a corpus, or resume a run",
    "evaluate": "measure a trained model on a split",
    "generate": "generate text with a trained model",
    "export": "write a trained model as a SavedModel and a .keras file that need no textreel",
    "curves": "draw the training and validation losses of runs into one PNG",
    "report": "make one HTML page of a corpus and of runs: what is in it, and how training went",
    "demo": "prepare, train and generate on Python's own sources, in a few minutes",
    "completion": "print a script that lets your shell complete commands and options",
}
_START = """first:  textreel demo --quick      (all of it, in a minute, on text that is here)
then:   textreel prepare YOUR_TEXT -o CORPUS
        textreel train CORPUS -o RUN
        textreel generate RUN --prompt "Once upon"
"""


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `textreel` with all its sub-commands."""
    parser = pipeline.cli.command_parser(
        "textreel", "Any amount of text -> a trained language model.", _START
    )
    subparsers = parser.add_commands()
    pipeline.cli.add_commands(subparsers, _training_of, _write_what_if)
    for name, text in _COMMANDS.items():
        options = {"build_parser": build_parser} if name == "completion" else {}
        pipeline.cli.add_command(subparsers, f"trainer.commands.{name}", text, **options)
    pipeline.cli.add_help_command(subparsers, parser)
    return parser


def main() -> None:
    """The entry point of the command `textreel`."""
    pipeline.cli.main_with(build_parser, on_usage_error=_tell_others)


def _training_of(run: str) -> "Training | None":
    from trainer.config.saved import training_of

    return training_of(run)


def _write_what_if(asked: "WhatIf", output: str) -> int:
    from trainer.pages.what_if import write_what_if

    return write_what_if(asked, output)


def _tell_others() -> None:
    if sys.argv[1:2] == ["train"]:
        from trainer.hosts.meeting import tell_of_usage

        tell_of_usage()


if __name__ == "__main__":
    main()
