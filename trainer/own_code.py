"""Code of a user's own: `MODULE:FUNCTION` -> the function."""

import importlib
import os
import sys
from typing import Any

from pipeline.errors import UserError


def is_function_name(name: str) -> bool:
    """Whether a text is of the form `MODULE:FUNCTION`."""
    module, _, function = name.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), function])


def load_function(name: str, option: str) -> Any:
    """Imports `MODULE:FUNCTION`; the current directory is searched first, as by `python -m`.

    Args:
        name: of the function.
        option: that names it, for messages.

    Raises:
        UserError: there is no such module, or no such function in it.
    """
    module_name, _, function_name = name.partition(":")
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"`{option}` {name}: the module {module_name} cannot be imported ({error}); start in "
            "the directory where it lies, or set PYTHONPATH"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        found = "none" if function is None else type_text(function)
        raise UserError(
            f"`{option}` {name}: {module.__file__} must have a function {function_name}, got "
            f"{found}"
        )
    return function


def type_text(value: object) -> str:
    """Returns the type of a value with its module, for people."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
