"""Terminal: texts that come from the operating system, and those that are printed.

All that the commands print goes through `show`, which lets no control code pass.
File names, manifests and generated text come from whomever: an escape sequence among them could
move the cursor, rename the window or hide what stands there.
"""

import io
import os
import sys
import unicodedata
import warnings
from typing import Any, TextIO, cast

from pipeline.errors import TextWarning


def as_utf8(text: str) -> str:
    """Returns a text of the operating system's, such as a name, as UTF-8 in any locale.

    What is no UTF-8 stays escaped by surrogates (PEP 383).
    """
    return os.fsencode(text).decode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    r"""Returns a text with every control character but newline and tab as an escape: `\x1b`.

    What reorders text (the bidirectional overrides and isolates) is a control character, too.
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def show(text: str = "", *, end: str = "\n", file: TextIO | None = None) -> None:
    """Prints a text to standard output, or to another stream, at once.

    Characters that the stream cannot hold become escapes as well.
    """
    stream = sys.stdout if file is None else file
    shown = printable(text) + end
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def escape_what_cannot_be_shown() -> None:
    """Lets what others print, such as a parser its help, pass a terminal of few characters."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show_warnings() -> None:
    """Lets what is odd about texts be shown as the command line shows errors, without a place."""
    default = warnings.showwarning

    def show_one(
        message: Warning | str, category: type[Warning], *others: Any, **named: Any
    ) -> None:
        if issubclass(category, TextWarning):
            show(f"textreel: warning: {message}", file=sys.stderr)
        else:
            default(message, category, *others, **named)

    warnings.showwarning = cast(Any, show_one)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    if unicodedata.category(character) == "Cf" and unicodedata.bidirectional(character) in (
        "BN",
        "AL",
        "L",
        "R",
    ):
        return character  # joiners of emoji and of scripts
    return character.encode("unicode_escape").decode()
