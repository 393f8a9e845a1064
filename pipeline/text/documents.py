"""Documents of a piece: what a worker reads, whatever the format, and where an error lies.

A document that fills a source comes in blocks, so that memory stays flat. A row or a line comes
whole, because its content decides on its split.
"""

import contextlib
from collections.abc import Iterator

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES
from pipeline.text.formats.rows import RowError
from pipeline.text.pieces import Part, Piece, Source

_BATCH_DOCUMENTS = 4096
_CONVERT = (
    "convert it, leave it out with `--glob`, or use `--vocabulary byte`, which takes any bytes"
)


def read_parts(piece: Piece) -> Iterator[Part]:
    """Yields what a piece holds: blocks where the source is a document, else whole documents.

    Raises:
        UserError: a file that is damaged, truncated or has changed; a row without a text.
    """
    try:
        yield from piece.source.format.documents(piece)
    except RowError as error:
        raise UserError(f"{piece.source.place_of(error.position)}: {error}") from error
    except UserError as error:
        raise UserError(piece.source.named(str(error))) from error


def document_batches(piece: Piece) -> Iterator[list[Part]]:
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


@contextlib.contextmanager
def errors_name(source: Source, position: int) -> Iterator[None]:
    """Adds to errors of the encoding the place and the remedy.

    Args:
        source: what is being read.
        position: as `Part.position`, of the document in hand.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        problem = source.format.problem_of(source.path, position, error.start)
        problem = source.named(problem)
        raise UserError(f"{problem} ({error.reason}); {_CONVERT}") from error
    except UserError as error:
        if source.shown in str(error):
            raise
        raise UserError(f"{source.place_of(position)}: {error}") from error
