"""Command line `textreel`: everything from text to generated text, one sub-command each."""

import argparse

from absl.flags import argparse_flags

import pipeline.cli
from trainer.commands import curves, demo, evaluate, export, generate, train
from trainer.config.saved import training_of


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `textreel` with all its sub-commands."""
    parser = argparse_flags.ArgumentParser(
        prog="textreel",
        description="Any amount of text -> a trained language model.",
        allow_abbrev=False,  # a new flag would break scripts
    )
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
    )
    pipeline.cli.add_commands(subparsers, training_of)
    for command in (train, evaluate, generate, export, curves, demo):
        command.add_command(subparsers)
    return parser


def main() -> None:
    """The entry point of the command `textreel`."""
    pipeline.cli.main_with(build_parser)


if __name__ == "__main__":
    main()
