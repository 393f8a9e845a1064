"""Documents of a piece: what a worker reads, whatever the format, and where an error lies.

A document that fills a source comes in blocks, so that memory stays flat. A row or a line comes
whole, because its content decides on its split.
"""

import contextlib
from collections.abc import Iterator

from pipeline.errors import UserError
from pipeline.text.bad_rows import RowError, Skipped
from pipeline.text.pieces import Documents, Part, Piece, Source

_CONVERT = (
    "convert it, leave it out with `--glob`, or use `--vocabulary byte`, which takes any bytes"
)

_SKIP = "; `--on_bad_row skip` leaves such rows out, and counts them"


def read_parts(piece: Piece) -> Iterator[Part]:
    """Yields what a piece holds: blocks where the source is a document, else whole documents.

    Raises:
        UserError: a file that is damaged, truncated or has changed; a bad row that is not to be
            skipped.
    """
    if piece.source.is_document:
        with _errors_named(piece):
            yield from piece.source.format.blocks(piece)
        return
    for documents in read_documents(piece):
        num_done = documents.num_done
        for text, position in zip(documents.texts, documents.positions, strict=True):
            yield Part(text, position, num_done, True)
            num_done = 0


def read_documents(piece: Piece, skipped: Skipped | None = None) -> Iterator[Documents]:
    """Yields the documents of a piece of a source of many, some at a time, never none.

    Args:
        piece: what is read.
        skipped: counts the bad rows, where they are skipped.

    Raises:
        UserError: see `read_parts`.
    """
    written = piece.source.format
    with _errors_named(piece):
        for documents in written.documents(piece):
            for error in documents.bad:
                if not written.skip_bad_rows:
                    remedy = "" if written.is_plain_text else _SKIP
                    raise RowError(error.position, f"{error}{remedy}") from error
                if skipped is not None:
                    skipped.add(error, written.position_unit)
            if documents.texts:
                yield documents._replace(bad=())


@contextlib.contextmanager
def _errors_named(piece: Piece) -> Iterator[None]:
    """Adds to errors of the reading which source it is, and which row."""
    try:
        yield
    except RowError as error:
        raise UserError(f"{piece.source.place_of(error.position)}: {error}") from error
    except UserError as error:
        raise UserError(piece.source.named(str(error))) from error


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
        skip = "" if source.format.is_plain_text else _SKIP
        raise UserError(f"{problem} ({error.reason}); {_CONVERT}{skip}") from error
    except UserError as error:
        if source.shown in str(error):
            raise
        raise UserError(f"{source.place_of(position)}: {error}") from error
