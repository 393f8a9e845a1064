"""Command line of the preprocessor: `textreel prepare` is also `python -m pipeline prepare`."""

import argparse
import importlib
import importlib.metadata
import os
import platform
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import app

from pipeline.errors import OptionError, UserError, os_error_text
from pipeline.parsing import CommandParser, SubcommandParser
from pipeline.terminal import escape_what_cannot_be_shown, show, show_error, show_warnings

if TYPE_CHECKING:
    from pipeline.commands.plan import WriteWhatIf
    from pipeline.commands.trace import TrainingOf

_LIBRARIES = ("tensorflow", "keras", "numpy")
_COMMANDS = {  # in `pipeline.commands`
    "prepare": "turn files of text into a corpus of tokens",
    "plan": "a dry run of prepare: shards, tokens, disk, time, memory, and steps of training",
    "inspect": "what a corpus is, or an index of TFRecord files, on one screen",
    "verify": "check every digest, count and fingerprint of a corpus, and that splits share no "
    "text",
    "repair": "rebuild from the sources the shards that fail `verify`, byte for byte",
    "index": "find where the records of TFRecord files begin, whoever wrote these",
    "trace": "the text of a batch that was or will be trained on, and where in the sources it "
    "stands; of an index, where its records stand",
}


def main_with(
    build_parser: Callable[[], argparse.ArgumentParser],
    *,
    on_usage_error: Callable[[], None] = lambda: None,
) -> None:
    """Parses the command line and runs `arguments.run(arguments)`; exits.

    What a user did ends with a message and no traceback: exit code 2 for an option, 1 for a
    failure, 130 for an interruption.

    Args:
        build_parser: makes the parser, whose defaults have `run`.
        on_usage_error: called after the message about a command line that cannot be parsed.
    """
    escape_what_cannot_be_shown()

    def parse(argv: list[str]) -> argparse.Namespace:
        try:
            return parse_arguments(build_parser(), argv[1:])
        except SystemExit as end:
            if end.code == 2:
                on_usage_error()
            raise

    def main(arguments: argparse.Namespace) -> int:
        show_warnings()
        try:
            arguments.run(arguments)
        except BrokenPipeError:  # whoever read our output has gone, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        except (UserError, OSError) as error:
            said = os_error_text(error) if isinstance(error, OSError) else str(error)
            show_error(arguments.parser.typed_text(said))
            return 2 if isinstance(error, OptionError) else 1
        except KeyboardInterrupt:
            goes_on = "; the same command goes on where it was" if arguments.resumes else ""
            show(f"\ntextreel: interrupted{goes_on}", file=sys.stderr)
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


def command_parser(prog: str, description: str, start: str) -> CommandParser:
    """Returns a parser that has no commands yet; without one, it shows its help.

    Args:
        prog: how the program is called.
        description: what it does.
        start: what to type first, for the end of the help.
    """
    parser = CommandParser(
        prog=prog,
        usage="%(prog)s COMMAND …",
        description=description,
        epilog=start,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version_text())
    parser.set_defaults(run=lambda arguments: parser.print_help(), resumes=False)
    return parser


def add_help_command(subparsers: Any, parser: CommandParser) -> None:
    """Adds `help`, which is `--help`."""
    text = "show this, or what a command takes"
    helper = subparsers.add_parser("help", help=text, description=text)
    helper.add_argument("about", nargs="?", metavar="NAME", help="name of the command")

    def show_help(arguments: argparse.Namespace) -> None:
        parser.parse_args(["--help"] if arguments.about is None else [arguments.about, "--help"])

    helper.set_defaults(run=show_help)


def version_text() -> str:
    """Returns the versions that a report of a defect needs."""
    libraries = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    return f"textreel {_version('textreel')} (Python {platform.python_version()}, {libraries})"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of a source tree" if package == "textreel" else "not installed"


def add_command(subparsers: Any, module: str, text: str, **options: Any) -> None:
    """Adds a command, whose module is imported when the command is used.

    Args:
        subparsers: what `CommandParser.add_commands` returned.
        module: has `add_arguments`, and the command's name as its last part.
        text: what the command does, in a line.
        options: those of `add_arguments`.
    """

    def add_arguments(parser: SubcommandParser) -> None:
        importlib.import_module(module).add_arguments(parser, **options)

    name = module.rpartition(".")[2]
    subparsers.add_parser(name, help=text, description=text, add_arguments=add_arguments)


def add_commands(
    subparsers: Any,
    training_of: "TrainingOf | None" = None,
    write_what_if: "WriteWhatIf | None" = None,
) -> None:
    """Adds the commands to what `CommandParser.add_commands` returned.

    Args:
        subparsers: gets the commands.
        training_of: see `commands.trace.add_arguments`.
        write_what_if: see `commands.plan.add_arguments`.
    """
    options: dict[str, dict[str, Any]] = {
        "plan": {"write_what_if": write_what_if},
        "trace": {"training_of": training_of},
    }
    for name, text in _COMMANDS.items():
        add_command(subparsers, f"pipeline.commands.{name}", text, **options.get(name, {}))


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m pipeline`."""
    parser = command_parser(
        "python -m pipeline",
        "Any amount of text -> a corpus of tokens.",
        "first:  python -m pipeline prepare YOUR_TEXT -o CORPUS",
    )
    subparsers = parser.add_commands()
    add_commands(subparsers)
    add_help_command(subparsers, parser)
    return parser
