"""Rows, and other documents of sources of many: what their formats share."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipeline.errors import UserError
from pipeline.text.bad_rows import RowError
from pipeline.text.pieces import Blocks, Documents, Format, Piece, Reading


def check_row_bytes(position: int, num_bytes: int, max_row_bytes: int) -> None:
    """Refuses a row that is too long, before memory is taken for all of it.

    Raises:
        RowError: it has more bytes than may be.
    """
    if num_bytes > max_row_bytes:
        raise too_long(position, max_row_bytes)


def too_long(position: int, max_row_bytes: int) -> RowError:
    """Returns what is wrong with a row of more bytes than may be."""
    return RowError(
        position,
        f"longer than {max_row_bytes} bytes",
        ", and is held in memory as a whole; leave it out, or allow more with `--max_row_bytes`",
    )


def without_long(documents: Documents, max_row_bytes: int) -> Documents:
    """Returns documents of which those with more bytes than may be are bad."""
    if max(map(len, documents.texts), default=0) <= max_row_bytes:
        return documents
    return checked(
        documents,
        lambda position, text: (
            too_long(position, max_row_bytes) if len(text) > max_row_bytes else None
        ),
    )


def checked(documents: Documents, problem_of: Callable[[int, bytes], RowError | None]) -> Documents:
    """Returns documents of which those with a problem are bad.

    Args:
        documents: some of which may be bad already.
        problem_of: position and text -> what is wrong, or `None`.
    """
    bad = [
        problem_of(position, text)
        for text, position in zip(documents.texts, documents.positions, strict=True)
    ]
    good = documents.where([problem is None for problem in bad])
    found = sorted([*documents.bad, *filter(None, bad)], key=lambda problem: problem.position)
    return good._replace(num_done=documents.num_done, bad=found)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RowFormat(Format):
    """Rows with a field that holds the text. `Documents.positions` has their numbers.

    Attributes:
        text_field: its name.
        skip_bad_rows: leaves out the rows that have no text.
        utf8_only: bytes that are no UTF-8 are no text.
    """

    text_field: str
    skip_bad_rows: bool = False
    utf8_only: bool = False

    position_unit = "row"

    def place_of(self, path: str, position: int) -> str:
        """See `Format.place_of`; libraries count rows from 0."""
        return f"{path}, row {position} (the first is 0)"

    def problem_of(self, path: str, position: int, byte: int) -> str:
        """See `Format.problem_of`."""
        place = self.place_of(path, position)
        return f"{place} is not UTF-8 at byte {byte} of the field {self.text_field!r}"

    def check_utf8(self, documents: Documents) -> Documents:
        """Returns documents of which those that are no UTF-8 are bad, where they must be."""
        if not self.utf8_only:
            return documents
        try:
            b"\0".join(documents.texts).decode()
        except UnicodeDecodeError:
            return checked(documents, self._problem_of)
        return documents

    def _problem_of(self, position: int, text: bytes) -> RowError | None:
        try:
            text.decode()
        except UnicodeDecodeError as error:
            return RowError(position, "not UTF-8", f" at byte {error.start}")
        return None


def row_options(path: str, reading: Reading) -> dict[str, Any]:
    """Returns the attributes of a `RowFormat` that follow from how sources are read.

    Raises:
        UserError: see `field_of`.
    """
    return {
        "text_field": field_of(path, reading),
        "max_row_bytes": reading.max_row_bytes,
        "skip_bad_rows": reading.skip_bad_rows,
        "utf8_only": reading.utf8_only,
    }


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
    piece: Piece, rows: Iterable[Documents], written: RowFormat
) -> Iterator[Documents]:
    """Yields the documents of a piece that is counted in rows.

    Args:
        piece: what is read.
        rows: all its rows, in order.
        written: its format.
    """
    done = num_rows = 0
    for documents in rows:
        num_rows += len(documents.texts) + len(documents.bad)
        num_done = piece.source_bytes * num_rows // (piece.stop - piece.start)
        documents = without_long(written.check_utf8(documents), written.max_row_bytes)
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
