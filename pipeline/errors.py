"""Exceptions for what a user did: the command line shows them without a traceback."""

import re
import warnings


class UserError(ValueError):
    """An input that cannot work; the message says what, where and the remedy.

    A subclass of `ValueError`, so that library code may catch the standard type.
    The command line prints the message and exits with 1; any other exception is
    a defect and keeps its traceback.
    """


class OptionError(UserError):
    """An option whose value cannot work, whatever the input; the command line exits with 2."""


class TextWarning(UserWarning):
    """What is odd about a text that was taken; the command line prints it."""


def unsaid() -> warnings.catch_warnings:
    """Returns a context without `TextWarning`s: the same text is read again, and they said then."""
    return warnings.catch_warnings(action="ignore", category=TextWarning)


def first_line(error: Exception) -> str:
    """What an error of TensorFlow's says, without the graphs and operations around it."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\{\{.*?\}\} | \[Op:\w+\]$", "", line) or type(error).__name__
