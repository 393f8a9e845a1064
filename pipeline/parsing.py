"""Parsing of command lines: flags as people type them, and errors that they can read.

It is argparse, but that `--seq-len` is `--seq_len`, that no flag may be shortened (a new one would
break scripts), that a near miss is named, and that a mistake takes a line, its usage two.
"""

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from absl.flags import argparse_flags

from pipeline.terminal import show, show_error


class CommandParser(argparse_flags.ArgumentParser):
    """A parser of a command line, or of a sub-command.

    It takes absl's own flags, such as `--verbosity`, and shows them in no help. The namespace that
    it returns has it as `parser`; of a sub-command, that of the sub-command.

    Args:
        options: those of `argparse.ArgumentParser`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, exit_on_error=False, **options)
        for action in self._actions:
            if action.dest != "help":
                action.help = argparse.SUPPRESS
        self.usage: str | None = self.usage
        self._short_usage: str | None = None
        self.set_defaults(parser=self)

    def add_commands(self) -> Any:
        """Returns what has `add_parser`, for the sub-commands."""
        return self.add_subparsers(
            title="commands",
            metavar="COMMAND",
            prog=self.prog,
            parser_class=SubcommandParser,
        )

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses a command line; what it does not know is an error here already."""
        typed = sys.argv[1:] if args is None else args
        try:
            parsed, unknown = super().parse_known_args(list(map(_as_declared, typed)), namespace)
        except argparse.ArgumentError as error:
            joined = " " if error.message.startswith("must ") else ": "
            name = error.argument_name
            self.error(error.message if name is None else f"{name}{joined}{error.message}")
        if unknown:
            self.error(self._unknown_text(unknown))
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Says what is wrong with a command line in one line, its usage in two; exits with 2."""
        show_error(message)
        show(f"{self.format_usage().rstrip()}\nhelp:  {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def format_usage(self) -> str:
        """Returns what must be given, on one line."""
        self._shorten_usage()
        return str(super().format_usage())

    def format_help(self) -> str:
        """Returns the help."""
        self._shorten_usage()
        return str(super().format_help())

    def typed_text(self, message: str) -> str:
        """Returns a message with its options as they are typed: `` `units` `` -> --units."""
        names: dict[str, str] = {}
        for action in self._visible():
            name = action.option_strings[-1] if action.option_strings else str(action.metavar)
            names |= {str(action.metavar).lower(): name} if not action.option_strings else {}
            names[action.dest] = name
        return re.sub(r"`(?:--)?(\w+)`", lambda found: names.get(found[1], found[0]), message)

    def _visible(self) -> list[argparse.Action]:
        return [action for action in self._actions if action.help is not argparse.SUPPRESS]

    def _shorten_usage(self) -> None:
        if self.usage != self._short_usage:  # it has one of its own
            return
        words = [self.prog.replace("%", "%%")]
        for action in self._visible():
            value = str(action.metavar or action.dest.upper())
            if not action.option_strings:
                words.append(f"{value}…" if action.nargs in ("+", argparse.PARSER) else value)
            elif action.required:
                words.append(f"{action.option_strings[0]} {value}")
        self.usage = self._short_usage = " ".join([*words, "[OPTION…]"])

    def _unknown_text(self, unknown: list[str]) -> str:
        options = [word.partition("=")[0] for word in unknown if word.startswith("-")]
        if not options:
            return f"unexpected argument {unknown[0]!r}"
        known = [name for action in self._visible() for name in action.option_strings]
        return f"there is no option {options[0]}{_near_text(options[0], known)}"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Of argparse: refuses what is not among an argument's choices."""
        if action.choices is not None and value not in action.choices:
            choices = list(map(str, action.choices))
            near = _near_text(str(value), choices)
            if action.nargs == argparse.PARSER:
                self.error(f"there is no command {value!r}{near or ', only ' + ', '.join(choices)}")
            raise argparse.ArgumentError(
                action, f"must be one of {', '.join(choices)}, got {value!r}{near}"
            )


class SubcommandParser(CommandParser):
    """The parser of a command, without absl's flags: they stand before the command.

    Args:
        add_arguments: adds what the command takes, when that is asked for and not before: a command
            imports nothing for the others.
        options: those of `argparse.ArgumentParser`.
    """

    def __init__(
        self, add_arguments: Callable[["SubcommandParser"], None] | None = None, **options: Any
    ) -> None:
        super().__init__(inherited_absl_flags=None, **options)
        self._add_arguments = add_arguments

    def fill(self) -> None:
        """Adds what the command takes, if that has not been done."""
        add, self._add_arguments = self._add_arguments, None
        if add is not None:
            add(self)

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """See `CommandParser.parse_known_args`."""
        self.fill()
        return super().parse_known_args(args, namespace)


def integer(text: str) -> int:
    """A flag's text -> its integer: the `type` of an argument."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Returns which of the known words was perhaps meant."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.7)), None)


def _near_text(word: str, known: Iterable[str]) -> str:
    near = near_miss(word, known)
    return "" if near is None else f"; did you mean {near}?"


def _as_declared(word: str) -> str:
    """`--seq-len=8` -> `--seq_len=8`."""
    if not word.startswith("--"):
        return word
    name, equals, value = word[2:].partition("=")
    return f"--{name.replace('-', '_')}{equals}{value}"
