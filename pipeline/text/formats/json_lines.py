"""JSON Lines: one JSON object a line, one of its fields the text. Blank lines are no rows."""

import json
from collections.abc import Iterable, Iterator

from pipeline.text.formats import RowError
from pipeline.text.formats.delimited import split_at

SUFFIXES = (".jsonl", ".ndjson")


def read_json_lines(
    blocks: Iterable[bytes], text_field: str, position: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Yields the text of every row, with the position of the row's first byte.

    Args:
        blocks: the file's bytes, cut anywhere.
        text_field: the field that holds the text.
        position: where the blocks start in the file.

    Raises:
        RowError: a line that is not an object with a text in that field.
    """
    for start, line in split_at(blocks, b"\n", position):
        if not line or line.isspace():
            continue
        yield start, _text_of(start, line, text_field)


def _text_of(start: int, line: bytes, text_field: str) -> bytes:
    try:
        # A byte order mark is allowed at the beginning of the file.
        row = json.loads(line.decode("utf-8-sig" if start == 0 else "utf-8"))
    except UnicodeDecodeError as error:
        raise RowError(start, f"not UTF-8 at byte {start + error.start} of the file") from error
    except (ValueError, RecursionError) as error:
        raise RowError(start, f"not valid JSON: {error}") from error
    if not isinstance(row, dict):
        raise RowError(start, f"not a JSON object but {type(row).__name__}")
    if text_field not in row:
        fields = ", ".join(map(repr, row)) or "none"
        raise RowError(start, f"no field {text_field!r}; the fields are: {fields}")
    text = row[text_field]
    if not isinstance(text, str):
        raise RowError(start, f"the field {text_field!r} is not a text: {str(text)[:50]}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RowError(start, f"the field {text_field!r} has half a surrogate pair") from error
