"""Exceptions for what a user did: the command line shows them without a traceback."""

import errno
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


_AGAIN = "then run the same command again"
_REMEDIES = {
    errno.ENOSPC: f"free some space, {_AGAIN}",
    errno.EDQUOT: f"remove some files, or ask for a larger quota, {_AGAIN}",
    errno.EFBIG: "name a place on a file system that takes larger files",
    errno.EROFS: "name a place that can be written",
    errno.EACCES: "change the permissions, or name another place",
    errno.EPERM: "change the permissions, or name another place",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EIO: f"see to the disk or the network that it lies on, {_AGAIN}",
    errno.ESTALE: f"mount the file system anew, {_AGAIN}",
    errno.EMFILE: f"allow more open files (`ulimit -n`), {_AGAIN}",
}


def os_error_text(error: OSError) -> str:
    """Says where an error of the system is, what it is, and what may be done."""
    if error.strerror is None:
        return str(error)
    place = f"{error.filename}: " if error.filename is not None else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return place + error.strerror.lower() + (f"; {remedy}" if remedy else "")


def first_line(error: Exception) -> str:
    """What an error of TensorFlow's says, without the graphs and operations around it."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"^\{\{.*?\}\} | \[Op:\w+\]$", "", line) or type(error).__name__
