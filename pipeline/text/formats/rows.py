"""Rows, and other documents of sources of many: what their formats share."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import UserError
from pipeline.text.pieces import MAX_ROW_BYTES, Blocks, Documents, Format, Piece, Reading


class RowError(ValueError):
    """A row that has no text.

    Attributes:
        position: of the row: its number, else the byte where it starts.
    """

    def __init__(self, position: int, message: str):
        super().__init__(message)
        self.position = position


def check_row_bytes(position: int, num_bytes: int, max_row_bytes: int) -> None:
    """Refuses a row that is too long, before memory is taken for all of it.

    Raises:
        RowError: it has more bytes than may be.
    """
    if num_bytes > max_row_bytes:
        raise RowError(
            position,
            f"it is longer than {max_row_bytes} bytes, and is held in memory as a whole; leave it "
            "out, or allow more with `--max_row_bytes`",
        )


def check_all_row_bytes(
    texts: Sequence[bytes], positions: Sequence[int], max_row_bytes: int
) -> None:
    """Refuses rows of which one is too long.

    Raises:
        RowError: see `check_row_bytes`.
    """
    if max(map(len, texts), default=0) > max_row_bytes:
        for text, position in zip(texts, positions, strict=True):
            check_row_bytes(position, len(text), max_row_bytes)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RowFormat(Format):
    """Rows with a field that holds the text. `Documents.positions` has their numbers.

    Attributes:
        text_field: its name.
    """

    text_field: str

    def place_of(self, path: str, position: int) -> str:
        """See `Format.place_of`; libraries count rows from 0."""
        return f"{path}, row {position} (the first is 0)"

    def problem_of(self, path: str, position: int, byte: int) -> str:
        """See `Format.problem_of`."""
        place = self.place_of(path, position)
        return f"{place} is not UTF-8 at byte {byte} of the field {self.text_field!r}"


def field_of(path: str, reading: Reading) -> str:
    """Returns the field that holds the text.

    Raises:
        UserError: none is named.
    """
    if reading.text_field is None:
        raise UserError(
            f"{path} holds rows: name the field that holds the text with `--text_field`, or leave "
            "it out with `--glob`"
        )
    return reading.text_field


def documents_of_rows(
    piece: Piece, rows: Iterable[Documents], max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[Documents]:
    """Yields the documents of a piece that is counted in rows.

    Raises:
        RowError: a text has more bytes than may be.
    """
    done = num_rows = 0
    for documents in rows:
        check_all_row_bytes(documents.texts, documents.positions, max_row_bytes)
        num_rows += len(documents.texts)
        num_done = piece.source_bytes * num_rows // (piece.stop - piece.start)
        yield documents._replace(num_done=num_done - done)
        done = num_done


def documents_of_blocks(
    blocks: Blocks, split: Callable[[Iterator[bytes]], Iterable[Documents]]
) -> Iterator[Documents]:
    """Yields the documents of a piece that is counted in bytes.

    Args:
        blocks: its text.
        split: blocks of text -> documents.
    """
    seen = done = 0

    def counted() -> Iterator[bytes]:
        nonlocal seen
        for block, num_bytes in blocks:
            seen += num_bytes
            yield block

    for documents in split(counted()):
        yield documents._replace(num_done=seen - done)
        done = seen
