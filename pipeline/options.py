"""Options: fields of a dataclass that know their flags, and the rules that many of them share.

An option is declared once, with `option`. `add_flags` makes the flags of a command from the
declarations, and `from_flags` the dataclass from what was parsed, so that flags, Python
arguments and JSON files cannot differ.
"""

import argparse
import dataclasses
import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pipeline.errors import OptionError
from pipeline.files import checked_output, checked_path

Options = TypeVar("Options")
_DIGEST, _DIGEST_CHARACTERS = "blake3:", 19  # shown of one, as git shows 12 digits of its own
_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


def option(
    text: str,
    *,
    default: Any = dataclasses.MISSING,
    parse: Callable[[str], Any] = str,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
    short: str | None = None,
    positional: bool = False,
    identity: bool = True,
) -> Any:
    """Declares an option.

    Args:
        text: what it means; the help of its flag.
        default: its value where it is not given; without one it is required. A dictionary is
            copied for every instance.
        parse: its flag's text -> its value; a `ValueError` is a usage error, and so is an
            `ArgumentTypeError`, which may say what is wrong: `must be …`.
        choices: the values that it may have, where they can be listed.
        metavar: how `--help` writes its value.
        short: a second name of its flag, such as `-o`.
        positional: whether a command takes its value without a flag.
        identity: whether it determines what is made. Options that move files or name devices
            do not, and may change between two starts of one run.
    """
    metadata = {
        "help": text,
        "parse": parse,
        "choices": choices,
        "metavar": metavar,
        "short": short,
        "positional": positional,
        "identity": identity,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def path_flag(text: str) -> str:
    """Returns a path as it is given, for `parse` of an option and `type` of a flag.

    Raises:
        argparse.ArgumentTypeError: it seems to be a URI, and is none: see `checked_path`.
    """
    try:
        checked_path(text, "path")
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("`path` ")) from error
    return text


def add_flags(
    parser: argparse._ActionsContainer,
    options: type,
    defaults: Mapping[str, Any] = _NO_DEFAULTS,
    *,
    leave_out: tuple[str, ...] = (),
) -> None:
    """Adds one flag for each option that a class declares, with its help and default.

    What is not typed is in no namespace: `from_flags` adds the defaults. An option that may be
    turned on, or left out, has a flag that takes it away again, `--no_NAME`, for what a file gives.

    Args:
        parser: gets the flags; a group of a parser does, too.
        options: a dataclass of options.
        defaults: option -> default that is shown, in place of the option's own.
        leave_out: options without a flag.
    """
    for field in dataclasses.fields(options):
        if field.name not in leave_out:
            _add_flag(parser, field, defaults.get(field.name, _default_of(field)))


def from_flags(
    options: type[Options],
    arguments: argparse.Namespace,
    defaults: Mapping[str, Any] = _NO_DEFAULTS,
    **others: Any,
) -> Options:
    """Builds the options of a class from parsed flags; attributes it does not know are ignored.

    Args:
        options: a dataclass of options.
        arguments: what the parser returned.
        defaults: values of options that are not typed, in place of the options' own.
        others: options without a flag.

    Raises:
        OptionError: an option is missing, or breaks its rule.
    """
    fields = dataclasses.fields(options)  # type: ignore[arg-type]
    typed = vars(arguments)
    values = {
        field.name: source[field.name]
        for source in (defaults, typed)
        for field in fields
        if field.name in source
    } | others
    missing = [
        f"`{field.name}`"
        for field in fields
        if field.name not in values and _default_of(field) is dataclasses.MISSING
    ]
    if missing:
        raise OptionError(f"{' and '.join(missing)} must be given")
    return options(**values)


def flag_text(value: Any) -> str:
    """Returns a value as a user would type it after its flag; nothing for `None`."""
    if isinstance(value, dict):
        return ",".join(f"{name}={part}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return "" if value is None else str(value)


def options_text(options: Mapping[str, Any]) -> str:
    """Returns the options that are given, much as a user would type them, for people."""
    given = {name: value for name, value in options.items() if value is not None}
    return ", ".join(f"{name} {short_text(value)}" for name, value in given.items())


def short_text(value: Any) -> str:
    """As `flag_text`, but for people: four digits of shares, and the beginning of a digest."""
    if isinstance(value, dict):
        value = {
            name: f"{part:.4g}" if isinstance(part, float) else part for name, part in value.items()
        }
    text = flag_text(value)
    return text[:_DIGEST_CHARACTERS] if text.startswith(_DIGEST) else text


def check_text(options: Any, *names: str) -> None:
    """Refuses the named options where they are empty.

    Raises:
        OptionError: one is.
    """
    for name in names:
        if not getattr(options, name):
            raise OptionError(f"`{name}` must not be empty, got {getattr(options, name)!r}")


def check_paths(options: Any, *names: str, written: bool = False, or_none: bool = False) -> None:
    """Refuses the named options where they are no paths; `file://` is taken off.

    Args:
        options: what has them as attributes, perhaps a frozen dataclass.
        names: of attributes.
        written: whether they are outputs: see `checked_output`.
        or_none: whether `None` is allowed as well.

    Raises:
        OptionError: one is not.
    """
    check = checked_output if written else checked_path
    for name in names:
        if (value := getattr(options, name)) is not None or not or_none:
            object.__setattr__(options, name, check(value, name))


def check_int(options: Any, least: int, *names: str, or_none: bool = False) -> None:
    """Refuses the named options where they are no integer of at least `least`.

    An integer of another type, such as one of NumPy's, becomes an `int`.

    Args:
        options: what has them as attributes, perhaps a frozen dataclass.
        least: the smallest integer that is allowed.
        names: of attributes.
        or_none: whether `None` is allowed as well.

    Raises:
        OptionError: one is not.
    """
    for name in names:
        value = getattr(options, name)
        if value is None and or_none:
            continue
        try:
            number = operator.index(value)
        except TypeError:
            number = least - 1
        if isinstance(value, bool) or number < least:
            raise OptionError(f"`{name}` must be an integer of at least {least}, got {value!r}")
        object.__setattr__(options, name, number)


def check_number(options: Any, name: str, rule: str, holds: Callable[[float], bool]) -> None:
    """Refuses an option that is no finite number or breaks its rule.

    Args:
        options: a dataclass.
        name: of a field.
        rule: what follows `must be`.
        holds: whether a finite number keeps the rule.

    Raises:
        OptionError: it does not.
    """
    value = getattr(options, name)
    if not (math.isfinite(value) and holds(value)):
        raise OptionError(f"`{name}` must be {rule}, got {value!r}")


def check_choices(options: Any) -> None:
    """Refuses values that are not among the choices of their option.

    Raises:
        OptionError: one is not.
    """
    for field in dataclasses.fields(options):
        choices, value = field.metadata["choices"], getattr(options, field.name)
        if value is None and field.default is None:
            continue
        if choices is not None and value not in choices:
            raise OptionError(f"`{field.name}` must be one of {', '.join(choices)}, got {value!r}")


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _add_flag(
    parser: argparse._ActionsContainer, field: "dataclasses.Field[Any]", default: Any
) -> None:
    about, flag = field.metadata, f"--{field.name}"
    if isinstance(default, bool):
        for name, action, text in (
            (flag, "store_true", about["help"]),
            (f"--no_{field.name}", "store_false", argparse.SUPPRESS),
        ):
            parser.add_argument(
                name, dest=field.name, action=action, default=argparse.SUPPRESS, help=text
            )
        return
    shown = "" if default is dataclasses.MISSING else flag_text(default)
    choices, metavar = about["choices"], about["metavar"] or "N"
    settings = {
        "default": argparse.SUPPRESS,
        "type": _as_argument(about["parse"], metavar),
        "choices": choices,
        "metavar": None if choices else metavar,
        "help": (f"{about['help']} (default: {shown})" if shown else about["help"]).replace(
            "%", "%%"
        ),
    }
    if about["positional"]:
        parser.add_argument(field.name, nargs="?", **settings)
        return
    names = [flag] if about["short"] is None else [about["short"], flag]
    parser.add_argument(*names, **settings)
    if default is None:
        parser.add_argument(
            f"--no_{field.name}",
            dest=field.name,
            action="store_const",
            const=None,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )


def _as_argument(parse: Callable[[str], Any], metavar: str) -> Callable[[str], Any]:
    """A parser of a flag's text whose errors say what is wanted."""
    form = f"of the form {metavar}"
    if parse in (int, float):
        form = "an integer" if parse is int else "a number"

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {form}, got {text!r}") from None

    return parsed
