"""Rows as JSON objects: what JSON Lines and JSON arrays share, and how one tells them apart."""

import codecs
import dataclasses
import functools
import json
from operator import getitem
from typing import Any

from pipeline.text.bad_rows import RowError
from pipeline.text.formats.compressed import check_compression
from pipeline.text.formats.rows import RowFormat, row_options
from pipeline.text.pieces import Candidate, Reading, Source

_DECODER = json.JSONDecoder()
# Python refuses integers of thousands of digits, which matter to no text; as floats they are read.
_ANY_NUMBERS = json.JSONDecoder(parse_int=float)
_SPACE = " \t\r\n"

LINES, ARRAY, OBJECT = "lines", "array", "object"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class JsonRows(RowFormat):
    """Rows in a file of JSON.

    Attributes:
        compression: `.gz`, `.bz2`, `.xz`, `.lzma`, `.zst` or nothing.
    """

    compression: str = ""

    @classmethod
    def source(cls, candidate: Candidate, reading: Reading) -> Source:
        """Returns the source that a candidate is, of this format.

        Raises:
            UserError: a package is missing, or no field is named.
        """
        check_compression(candidate.path, candidate.compression)
        options = row_options(candidate.path, reading)
        return candidate.source(cls(compression=candidate.compression, **options))


def json_shape(beginning: bytes, *, is_whole: bool) -> str:
    """Returns how a text is written: `LINES` or an `ARRAY` of objects, one `OBJECT`, or neither.

    Args:
        beginning: of the text.
        is_whole: nothing follows.
    """
    text = beginning.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith(b"["):
        return ARRAY if text[1:].lstrip().startswith(b"{") else ""
    if not text.startswith(b"{"):
        return ""
    line, newline, _ = text.partition(b"\n")
    if not newline and not is_whole:  # a long row, or an object that will say that it is none
        return LINES if text[1:].lstrip().startswith(b'"') else ""
    try:
        parse_json(line.decode())
    except json.JSONDecodeError as error:
        return OBJECT if error.pos >= len(error.doc.rstrip()) else ""
    except (ValueError, RecursionError):
        return ""
    return LINES


def has_object_lines(beginning: bytes) -> bool:
    """Whether a text begins with two lines that are an object each: rows, whatever it is called."""
    lines = beginning.removeprefix(codecs.BOM_UTF8).split(b"\n")
    whole = [line for line in lines[:-1] if line.strip()][:2]
    return len(whole) == 2 and all(map(_is_object, whole))


def decode_json(text: str, start: int) -> tuple[Any, int]:
    """Returns the JSON value that begins at `start`, and where it ends.

    Raises:
        ValueError: there is none; of what the text says, a `json.JSONDecodeError`.
        RecursionError: it is nested too deep.
    """
    try:
        return _DECODER.raw_decode(text, start)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _ANY_NUMBERS.raw_decode(text, start)


def parse_json(text: str) -> Any:
    """Returns the JSON value that a text is.

    Raises:
        ValueError, RecursionError: see `decode_json`.
    """
    value, end = decode_json(text, len(text) - len(text.lstrip(_SPACE)))
    if text[end:].strip(_SPACE):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def texts_of_lines(lines: list[bytes], text_field: str) -> list[bytes] | None:
    """Returns the texts of lines that are a row each; `None` where one is anything else.

    Three times as fast as `text_of_row` of `parse_json`, which say what is wrong.
    """
    names = text_field.split(".")
    decode = _DECODER.raw_decode
    texts = []
    try:
        for line in lines:
            decoded = line.decode()
            row, end = decode(decoded)
            if decoded[end:].strip(_SPACE):
                return None
            text = row[text_field] if text_field in row else functools.reduce(getitem, names, row)
            texts.append(text.encode())
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return None
    return texts


def text_of_row(position: int, row: Any, text_field: str) -> bytes:
    """Returns the text of a row.

    Args:
        position: of the row.
        row: a JSON value.
        text_field: the field that holds the text; with dots, where no field is called so: the
            fields that lead to it.

    Raises:
        RowError: it is no object with a text in that field.
    """
    if not isinstance(row, dict):
        raise RowError(position, "not a JSON object", f" but {type(row).__name__}")
    text: Any = row
    for name in [text_field] if text_field in row else text_field.split("."):
        if not isinstance(text, dict) or name not in text:
            fields = ", ".join(map(repr, row)) or "none"
            raise RowError(position, f"no field {text_field!r}", f"; the fields are: {fields}")
        text = text[name]
    if not isinstance(text, str):
        reason = f"the field {text_field!r} is not a text"
        raise RowError(position, reason, f": {str(text)[:50]}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RowError(position, f"the field {text_field!r} has half a surrogate pair") from error


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line.decode()), dict)
    except (ValueError, RecursionError):
        return False
