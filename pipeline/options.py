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

Options = TypeVar("Options")
_NO_DEFAULTS: Mapping[str, Any] = MappingProxyType({})


def option(
    text: str,
    *,
    default: Any = dataclasses.MISSING,
    parse: Callable[[str], Any] = str,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
    identity: bool = True,
) -> Any:
    """Declares an option.

    Args:
        text: what it means; the help of its flag.
        default: its value where it is not given; without one it is required. A dictionary is
            copied for every instance.
        parse: its flag's text -> its value; a `ValueError` is a usage error, and so is an
            `ArgumentTypeError`, which may say what is wrong.
        choices: the values that it may have, where they can be listed.
        metavar: how `--help` writes its value.
        identity: whether it determines what is made. Options that move files or name devices
            do not, and may change between two starts of one run.
    """
    metadata = {
        "help": text,
        "parse": parse,
        "choices": choices,
        "metavar": metavar,
        "identity": identity,
    }
    if isinstance(default, dict):
        return dataclasses.field(default_factory=lambda: dict(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def add_flags(
    parser: argparse._ActionsContainer,
    options: type,
    defaults: Mapping[str, Any] = _NO_DEFAULTS,
    *,
    leave_out: tuple[str, ...] = (),
) -> None:
    """Adds one flag for each option that a class declares, with its help and default.

    Args:
        parser: gets the flags; a group of a parser does, too.
        options: a dataclass of options.
        defaults: option -> default, in place of the option's own.
        leave_out: options without a flag.
    """
    for field in dataclasses.fields(options):
        if field.name not in leave_out:
            _add_flag(parser, field, defaults.get(field.name, _default_of(field)))


def from_flags(options: type[Options], arguments: argparse.Namespace, **others: Any) -> Options:
    """Builds the options of a class from parsed flags; attributes it does not know are ignored.

    Args:
        options: a dataclass of options.
        arguments: what the parser returned.
        others: options without a flag.

    Raises:
        OptionError: an option breaks its rule.
    """
    names = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
    given = {name: getattr(arguments, name) for name in names if name not in others}
    return options(**given, **others)


def check_text(options: Any, *names: str) -> None:
    """Refuses the named options where they are empty.

    Raises:
        OptionError: one is.
    """
    for name in names:
        if not getattr(options, name):
            raise OptionError(f"`{name}` must not be empty, got {getattr(options, name)!r}")


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
        if choices is not None and value not in choices:
            raise OptionError(f"`{field.name}` must be one of {', '.join(choices)}, got {value!r}")


def _default_of(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _add_flag(
    parser: argparse._ActionsContainer, field: "dataclasses.Field[Any]", default: Any
) -> None:
    flag, text = f"--{field.name}", field.metadata["help"]
    if isinstance(default, bool):
        parser.add_argument(flag, action="store_true", default=default, help=text)
        return
    required = default is dataclasses.MISSING
    default = None if required else default
    shown = _shown(default)
    choices = field.metadata["choices"]
    parser.add_argument(
        flag,
        required=required,
        default=default,
        type=field.metadata["parse"],
        choices=choices,
        metavar=None if choices else field.metadata["metavar"] or "N",
        help=f"{text} (default: {shown})" if shown else text,
    )


def _shown(default: Any) -> str:
    """A default as a user would type it; nothing where there is none to show."""
    if isinstance(default, dict):
        return ",".join(f"{name}={value}" for name, value in default.items())
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return "" if default is None else str(default)
