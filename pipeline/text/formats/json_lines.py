"""JSON Lines: one JSON object a line, one of its fields the text. Blank lines are no rows."""

import dataclasses
import json
from collections.abc import Iterable, Iterator

from pipeline.text.formats.compressed import check_compression, compression_of, text_blocks
from pipeline.text.formats.delimited import cut_documents, split_at
from pipeline.text.formats.rows import RowError, RowFormat, field_of
from pipeline.text.pieces import LINE, MAX_ROW_BYTES, Part, Piece, Reading, Source, parts_of_blocks

_SUFFIXES = (".jsonl", ".ndjson")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class JsonLines(RowFormat):
    """Rows in a file of JSON Lines.

    Attributes:
        compression: `.gz`, `.bz2`, `.xz`, `.zst` or nothing.
    """

    compression: str = ""

    @classmethod
    def find(cls, path: str, source_bytes: int, name: str, reading: Reading) -> Source | None:
        """See `Format.find`."""
        compression = compression_of(path)
        if not path[: len(path) - len(compression)].lower().endswith(_SUFFIXES):
            return None
        check_compression(path, compression)
        written = cls(
            text_field=field_of(path, reading),
            compression=compression,
            max_row_bytes=reading.max_row_bytes,
        )
        return Source(path=path, name=name, source_bytes=source_bytes, format=written)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: after the line, however long; a compressed file at its end."""
        if self.compression:
            return source.length
        return cut_documents(source.path, source.source_bytes, LINE, offset)

    def documents(self, piece: Piece) -> Iterator[Part]:
        """See `Format.documents`."""
        return parts_of_blocks(
            text_blocks(piece.source.path, self.compression, piece.start, piece.stop),
            lambda blocks: read_json_lines(
                blocks, self.text_field, piece.start, max_row_bytes=self.max_row_bytes
            ),
        )

    def place_of(self, path: str, position: int) -> str:
        """See `Format.place_of`: people count lines, from 1; a position is a byte."""
        line, seen = 1, 0
        for block, _ in text_blocks(path, self.compression, 0, position):
            line += block[: position - seen].count(b"\n")
            seen += len(block)
            if seen >= position:
                break
        return f"{path}, line {line}"


def read_json_lines(
    blocks: Iterable[bytes],
    text_field: str,
    position: int = 0,
    *,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> Iterator[tuple[int, bytes]]:
    """Yields the text of every row, with the position of the row's first byte.

    Args:
        blocks: the file's bytes, cut anywhere.
        text_field: the field that holds the text.
        position: where the blocks start in the file.
        max_row_bytes: most bytes of a line.

    Raises:
        RowError: a line that is too long, or is no object with a text in that field.
    """
    for start, line in split_at(blocks, b"\n", position, max_row_bytes=max_row_bytes):
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
