"""JSON Lines: one JSON object a line, one of its fields the text. Blank lines are no rows.

Told by its name, `.jsonl` or `.ndjson`, or by its content: of a `.json`, which is refused without
`--text_field` as a `.jsonl` is; and where `--text_field` is given, of any file.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from pipeline.errors import UserError
from pipeline.text.bad_rows import RowError
from pipeline.text.formats.compressed import (
    blocks_of,
    read_beginning,
    text_blocks,
)
from pipeline.text.formats.delimited import cut_documents, split_at
from pipeline.text.formats.json_rows import (
    LINES,
    OBJECT,
    JsonRows,
    has_object_lines,
    json_shape,
    parse_json,
    text_of_row,
    texts_of_lines,
)
from pipeline.text.formats.rows import documents_of_blocks
from pipeline.text.pieces import (
    LINE,
    MAX_ROW_BYTES,
    Candidate,
    Documents,
    Piece,
    Reading,
    Source,
)

_SUFFIXES = (".jsonl", ".ndjson")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class JsonLines(JsonRows):
    """Rows in a file of JSON Lines."""

    title = "JSON Lines"
    position_unit = "byte"

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`."""
        if not candidate.stem.endswith(_SUFFIXES) and not _is_told(candidate, reading):
            return None
        return cls.source(candidate, reading)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: after the line, however long; a compressed file at its end."""
        if self.compression:
            return source.length
        return cut_documents(source.path, source.source_bytes, LINE, offset)

    def documents(self, piece: Piece) -> Iterator[Documents]:
        """See `Format.documents`."""
        return documents_of_blocks(
            blocks_of(piece),
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
) -> Iterator[Documents]:
    """Yields the text of every row, with the position of the row's first byte.

    Bad are lines that are too long, or no object with a text in that field.

    Args:
        blocks: the file's bytes, cut anywhere.
        text_field: the field that holds the text.
        position: where the blocks start in the file.
        max_row_bytes: most bytes of a line.
    """
    for lines in split_at(blocks, b"\n", position, max_row_bytes=max_row_bytes):
        texts = texts_of_lines(lines.texts, text_field)
        yield lines._replace(texts=texts) if texts is not None else _one_by_one(lines, text_field)


def _one_by_one(lines: Documents, text_field: str) -> Documents:
    """The texts of lines among which are blank ones, or bad ones."""
    texts, positions, bad = [], [], list(lines.bad)
    for start, line in zip(lines.positions, lines.texts, strict=True):
        if not line or line.isspace():
            continue
        try:
            texts.append(text_of_row(start, _row_of(start, line), text_field))
            positions.append(start)
        except RowError as error:
            bad.append(error)
    bad.sort(key=lambda error: error.position)
    return Documents(texts, positions, bad=bad)


def _row_of(start: int, line: bytes) -> object:
    try:
        # A byte order mark is allowed at the beginning of the file.
        return parse_json(line.decode("utf-8-sig" if start == 0 else "utf-8"))
    except UnicodeDecodeError as error:
        raise RowError(start, "not UTF-8", f" at byte {start + error.start} of the file") from error
    except (ValueError, RecursionError) as error:
        raise RowError(start, "not valid JSON", f": {error}") from error


def _is_told(candidate: Candidate, reading: Reading) -> bool:
    """Whether the content says that it is JSON Lines.

    Raises:
        UserError: a `.json` with one object over many lines, where rows are asked for.
    """
    if not candidate.is_json:
        if reading.text_field is None or not candidate.may_begin(b"{"):
            return False
        beginning, is_whole = read_beginning(candidate)
        return json_shape(beginning, is_whole=is_whole) == LINES
    beginning, is_whole = read_beginning(candidate)
    if reading.text_field is None:
        return has_object_lines(beginning)
    if json_shape(beginning, is_whole=is_whole) == OBJECT:
        raise UserError(
            f"{candidate.path} is one JSON object over many lines, and holds no rows: write an "
            "object a line, or an array of objects, or leave it out with `--glob`"
        )
    return True  # or its first line says why not
