"""Pieces -> documents: what a worker reads, whatever the format; and where an error lies.

A document that fills a source comes in blocks, so that memory stays flat; a row, a line and
their like come whole, for their content decides on their split.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES, read_blocks
from pipeline.preparing.plan import Piece
from pipeline.text.formats import RowError
from pipeline.text.formats.compressed import read_compressed
from pipeline.text.formats.delimited import split_documents
from pipeline.text.formats.json_lines import read_json_lines
from pipeline.text.formats.parquet import read_rows
from pipeline.text.formats.tfds import read_examples
from pipeline.text.sources import Source

_BATCH_DOCUMENTS = 4096
_CONVERT = (
    "convert it, leave it out with `--glob`, or use `--vocabulary byte`, which takes any bytes"
)


class Part(NamedTuple):
    """A document, or a block of one that fills its source.

    Attributes:
        text: its bytes.
        position: of a document: its row in Parquet and TFDS, else its first byte in the
            source's text. Of a block: the first byte of the piece that it belongs to.
        num_done: how many more of the piece's `num_bytes` are done with it.
        final: nothing more of this document in this piece.
    """

    text: bytes
    position: int
    num_done: int
    final: bool


def read_parts(piece: Piece) -> Iterator[Part]:
    """Yields what a piece holds: blocks where the source is a document, else whole documents.

    Raises:
        UserError: a file that is damaged, truncated or has changed; a row without a text.
    """
    if piece.source.is_document:
        yield from _blocks_of_document(piece)
        return
    done = 0
    progress = _Progress(piece)
    try:
        for position, text in _documents(piece, progress):
            num_done = progress.num_done(position)
            yield Part(text, position, num_done - done, True)
            done = num_done
    except RowError as error:
        raise UserError(f"{_place(piece.source, error.position)}: {error}") from error


def batches(piece: Piece) -> Iterator[list[Part]]:
    """Yields the documents of a piece, several at a time: calls are costly."""
    batch: list[Part] = []
    num_bytes = 0
    for part in read_parts(piece):
        batch.append(part)
        num_bytes += len(part.text)
        if num_bytes >= BLOCK_BYTES or len(batch) >= _BATCH_DOCUMENTS:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


@contextmanager
def errors_name(source: Source, position: int) -> Iterator[None]:
    """Adds to errors of the encoding the place and the remedy.

    Args:
        source: what is being read.
        position: as `Part.position`, of the document in hand.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        if source.format != "text":
            raise UserError(
                f"{_place(source, position)} is not UTF-8 at byte {error.start} of the field"
                f" {source.text_field!r} ({error.reason}); {_CONVERT}"
            ) from error
        of_text = " of its text" if source.compression else ""
        raise UserError(
            f"{source.path} is not UTF-8 at byte {position + error.start}{of_text}"
            f" ({error.reason}); {_CONVERT}"
        ) from error
    except UserError as error:
        if source.path in str(error):
            raise
        place = source.path if source.is_document else _place(source, position)
        raise UserError(f"{place}: {error}") from error


class _Progress:
    """How much of a piece is done, as its `num_bytes` count it."""

    def __init__(self, piece: Piece):
        self._piece = piece
        self._num_bytes = 0

    def count(self, blocks: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
        for block, num_bytes in blocks:
            self._num_bytes += num_bytes
            yield block

    def num_done(self, position: int) -> int:
        piece = self._piece
        if piece.source.num_rows is None:
            return self._num_bytes
        rows = position + 1 - piece.start
        return piece.num_bytes * rows // (piece.stop - piece.start)


def _blocks_of_document(piece: Piece) -> Iterator[Part]:
    if not piece.source.compression:
        remaining = piece.stop - piece.start
        for block in read_blocks(piece.source.path, piece.start, piece.stop):
            remaining -= len(block)
            yield Part(block, piece.start, len(block), remaining == 0)
        return
    held: tuple[bytes, int] | None = None  # whether a block is the last is known after it
    for read in read_compressed(piece.source.path, piece.source.compression):
        if held:
            yield Part(held[0], 0, held[1], False)
        held = read
    if held:
        yield Part(held[0], 0, held[1], True)


def _documents(piece: Piece, progress: _Progress) -> Iterator[tuple[int, bytes]]:
    source = piece.source
    if source.format == "parquet":
        return read_rows(source.path, source.text_field, source.row_groups, piece.start, piece.stop)
    if source.format == "tfds":
        split = source.name.rpartition(":")[2]
        return read_examples(source.path, split, source.text_field, piece.start, piece.stop)
    blocks = progress.count(_blocks_of_rows(piece))
    if source.format == "json_lines":
        return read_json_lines(blocks, source.text_field, piece.start)
    return split_documents(blocks, source.document, piece.start)


def _blocks_of_rows(piece: Piece) -> Iterator[tuple[bytes, int]]:
    """Yields blocks of text, and how many bytes of the source each took."""
    if piece.source.compression:
        return read_compressed(piece.source.path, piece.source.compression)
    blocks = read_blocks(piece.source.path, piece.start, piece.stop)
    return ((block, len(block)) for block in blocks)


def _place(source: Source, position: int) -> str:
    """Names a document for people: they count lines from 1; libraries count rows from 0."""
    if source.num_rows is not None:
        return f"{source.path}, row {position} (the first is 0)"
    if source.format != "json_lines":
        return f"{source.path}, the document at byte {position}"
    whole = Piece(source=source, start=0, stop=source.length)
    line, seen = 1, 0
    for block, _ in _blocks_of_rows(whole):
        line += block[: max(0, position - seen)].count(b"\n")
        seen += len(block)
        if seen >= position:
            break
    return f"{source.path}, line {line}"
