"""How an option is declared, and the rules that more than one option has.

An option is a dataclass field; its metadata is what its flag needs and whether it belongs
to a run's identity.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from pipeline.errors import OptionError


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
        default: its value where it is not given; without one it is required.
        parse: its flag's text -> its value; a `ValueError` is a usage error.
        choices: the values it may have, where they can be listed.
        metavar: how `--help` writes its value.
        identity: whether it determines the trained weights. Options that move events, files
            and devices do not, and may change between two starts of one run.
    """
    metadata = {
        "help": text,
        "parse": parse,
        "choices": choices,
        "metavar": metavar,
        "identity": identity,
    }
    return dataclasses.field(default=default, metadata=metadata)


def check_text(options: Any, *names: str) -> None:
    """Refuses the named options where they are empty.

    Raises:
        OptionError: one is.
    """
    for name in names:
        if not getattr(options, name):
            raise OptionError(f"`{name}` must not be empty; give a value with --{name}")


def check_int(options: Any, least: int, *names: str) -> None:
    """Refuses the named options where they are no integer of at least `least`.

    Raises:
        OptionError: one is not.
    """
    for name in names:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise OptionError(
                f"`{name}` must be an integer of at least {least}, got {value!r}; change --{name}"
            )


def check_number(name: str, value: float, rule: str, holds: bool) -> None:
    """Refuses a number that is not finite or breaks its rule.

    Raises:
        OptionError: it does.
    """
    if not (math.isfinite(value) and holds):
        raise OptionError(f"`{name}` must be {rule}, got {value!r}; change --{name}")


def check_choices(options: Any) -> None:
    """Refuses values that are not among the choices of their option.

    Raises:
        OptionError: one is not.
    """
    for field in dataclasses.fields(options):
        choices, value = field.metadata["choices"], getattr(options, field.name)
        if choices is not None and value not in choices:
            raise OptionError(f"`{field.name}` must be one of {', '.join(choices)}; got {value!r}")
