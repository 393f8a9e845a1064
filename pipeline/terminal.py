"""Terminal: texts that come from the operating system, and those that are printed.

All that the commands print goes through `show`, which lets no control code pass.
File names, manifests and generated text come from whomever: an escape sequence among them could
move the cursor, rename the window or hide what stands there.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import sys
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TextIO, cast

from pipeline.errors import TextWarning

# "Select Graphic Rendition" of ECMA-48.
_STYLES = {"bold": "1", "red": "31", "yellow": "33"}


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


def show(
    text: str = "", *, end: str = "\n", file: TextIO | None = None, style: str | None = None
) -> None:
    """Prints a text to standard output, or to another stream, at once.

    Characters that the stream cannot hold become escapes as well.

    Args:
        text: of one or more lines.
        end: what follows it.
        file: the stream.
        style: `bold`, `red` or `yellow`, on a terminal where NO_COLOR is not set.
    """
    stream = sys.stdout if file is None else file
    _write(stream, _styled(text, style, stream) + end)


def show_error(text: str) -> None:
    """Prints to standard error what went wrong."""
    _show_about("error", text, "red")


def show_warning(text: str) -> None:
    """Prints to standard error what is odd, but stops nothing."""
    _show_about("warning", text, "yellow")


def show_json(values: Mapping[str, Any]) -> None:
    """Prints one JSON object, on one line; what is not finite is null."""
    show(json.dumps(_as_json(values), ensure_ascii=False, allow_nan=False))


@contextlib.contextmanager
def status(text: str, *, shown: bool = True) -> Iterator[None]:
    """Says on standard error what takes its time, on a terminal for as long as it takes."""
    if not shown:
        yield
        return
    is_terminal = sys.stderr.isatty()
    show(f"{text} …", end="" if is_terminal else "\n", file=sys.stderr)
    try:
        yield
    finally:
        if is_terminal:
            sys.stderr.write("\r\x1b[K")  # back to the beginning of the line, and clear it
            sys.stderr.flush()


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
            show_warning(str(message))
        else:
            default(message, category, *others, **named)

    warnings.showwarning = cast(Any, show_one)


def _show_about(what: str, text: str, style: str) -> None:
    # At once, for workers may have something to say, too.
    beginning = _styled(f"{what}:", style, sys.stderr)
    _write(sys.stderr, f"textreel: {beginning} {printable(text)}\n")


def _styled(text: str, style: str | None, stream: TextIO) -> str:
    """A printable text in its style, where the stream has such."""
    shown = printable(text)
    if style is None or not _has_colours(stream):
        return shown
    return f"\x1b[{_STYLES[style]}m{shown}\x1b[0m"


def _write(stream: TextIO, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _has_colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _as_json(value: Any) -> Any:
    """A value of dataclasses, dictionaries and sequences as JSON has it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    elif hasattr(value, "_asdict"):  # a NamedTuple
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): _as_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


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
