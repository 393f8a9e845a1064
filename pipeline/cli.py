"""Command line of the preprocessor: `textreel prepare` is also `python -m pipeline prepare`."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from absl import app
from absl.flags import argparse_flags

from pipeline.commands import index, inspect, plan, prepare, repair, trace, verify
from pipeline.errors import OptionError, UserError, os_error_text
from pipeline.terminal import escape_what_cannot_be_shown, show, show_warnings


def main_with(build_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Parses the command line and runs `arguments.run(arguments)`; exits.

    What a user did ends with a message and no traceback: exit code 2 for an option, 1 for a
    failure, 130 for an interruption.
    """
    escape_what_cannot_be_shown()

    def parse(argv: list[str]) -> argparse.Namespace:
        return parse_arguments(build_parser(), argv[1:])

    def main(arguments: argparse.Namespace) -> int:
        show_warnings()
        try:
            arguments.run(arguments)
        except BrokenPipeError:  # whoever read our output has gone, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except (UserError, OSError) as error:
            said = os_error_text(error) if isinstance(error, OSError) else str(error)
            show(f"textreel: error: {said}", file=sys.stderr)
            return 2 if isinstance(error, OptionError) else 1
        except KeyboardInterrupt:
            show("\ntextreel: interrupted; the same command goes on where it was", file=sys.stderr)
            return 130
        return 0

    app.run(main, flags_parser=parse)


def parse_arguments(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parses a command line; what follows `--` becomes `engine_options`, a list."""
    own, following = argv, None
    if "--" in argv:
        own, following = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    arguments = parser.parse_args(own)
    if following is not None and getattr(arguments, "engine", "local") == "local":
        parser.error(
            "options after `--` are those of the engine, and only `prepare --engine beam` takes "
            "any; write the name of a file that begins with - as ./-NAME"
        )
    arguments.engine_options = following or []
    return arguments


def add_commands(subparsers: Any, training_of: trace.TrainingOf | None = None) -> None:
    """Adds the commands to what `ArgumentParser.add_subparsers` returned.

    Args:
        subparsers: gets the commands.
        training_of: see `commands.trace.add_command`.
    """
    for command in (prepare, plan, inspect, verify, repair, index):
        command.add_command(subparsers)
    trace.add_command(subparsers, training_of)


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m pipeline`."""
    parser: argparse.ArgumentParser = argparse_flags.ArgumentParser(
        prog="python -m pipeline",
        description="Any amount of text -> a corpus of tokens.",
        allow_abbrev=False,  # a new flag would break scripts
    )
    add_commands(
        parser.add_subparsers(
            title="commands", metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
        )
    )
    return parser
