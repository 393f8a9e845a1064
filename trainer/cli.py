"""Command line `textreel`: everything from text to generated text, one sub-command each."""

import argparse
import sys

import pipeline.cli
from trainer.commands import completion, curves, demo, evaluate, export, generate, report, train
from trainer.config.saved import training_of
from trainer.hosts.meeting import tell_of_usage

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
    pipeline.cli.add_commands(subparsers, training_of)
    for command in (train, evaluate, generate, export, curves, report, demo):
        command.add_command(subparsers)
    completion.add_command(subparsers, build_parser)
    pipeline.cli.add_help_command(subparsers, parser)
    return parser


def main() -> None:
    """The entry point of the command `textreel`."""
    trains = sys.argv[1:2] == ["train"]
    pipeline.cli.main_with(build_parser, on_usage_error=tell_of_usage if trains else lambda: None)


if __name__ == "__main__":
    main()
