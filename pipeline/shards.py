"""Shard task -> file: what a worker does. Idempotent and atomic; no TensorFlow."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from pipeline import journal
from pipeline.errors import UserError
from pipeline.plan import Piece, ShardTask
from pipeline.records import RecordWriter, Written
from pipeline.sources import read_blocks
from pipeline.vocabulary import NUM_CODE_POINTS, CodePoints

Advance = Callable[[int], None]  # is told how many more bytes of text are done


def write_shard(task: ShardTask, advance: Advance) -> Written:
    """Encodes the pieces of a task into one file; a separator ends each document.

    The file appears whole, by a rename, or not at all. Where the journal says that it is
    finished, and its digest is right, it is kept: to run a task twice costs reading the file.

    Raises:
        UserError: text that is not UTF-8 (file and byte offset), a character that the
            vocabulary lacks, or a source that changed since the plan.
        OSError: the file cannot be written.
    """
    if (kept := journal.finished(task.path)) is not None:
        advance(task.num_bytes)
        return kept
    temporary = journal.temporary_path(task.path)
    dtype = task.vocabulary.dtype
    separator = np.array([task.vocabulary.separator_id], dtype)
    try:
        with open(temporary, "wb", buffering=2**20) as file:
            writer = RecordWriter(file, record_tokens=task.record_tokens, itemsize=dtype.itemsize)
            for piece in task.pieces:
                with _errors_name(piece):
                    encoder = task.vocabulary.encoder()
                    for block, final in _blocks(piece):
                        writer.write(encoder.encode(block, final=final))
                        advance(len(block))
                if piece.ends_document:
                    writer.write(separator)
            written = writer.finish()
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, task.path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    journal.record(task.path, written)
    return written


def find_code_points(pieces: tuple[Piece, ...], advance: Advance) -> np.ndarray:
    """Returns the code points that occur in the pieces, `[n]` uint32 ascending.

    Raises:
        UserError: text that is not UTF-8; it names the file and the byte offset.
    """
    seen = np.zeros(NUM_CODE_POINTS, bool)
    for piece in pieces:
        with _errors_name(piece):
            decoder = CodePoints()
            for block, final in _blocks(piece):
                seen[decoder.decode(block, final=final)] = True
                advance(len(block))
    return np.flatnonzero(seen).astype(np.uint32)


def _blocks(piece: Piece) -> Iterator[tuple[bytes, bool]]:
    """Yields the blocks of a piece, and whether each is the last."""
    remaining = piece.stop - piece.start
    for block in read_blocks(piece.source.path, piece.start, piece.stop):
        remaining -= len(block)
        yield block, remaining == 0


@contextmanager
def _errors_name(piece: Piece) -> Iterator[None]:
    """Adds to errors of the encoding the file, the byte offset and the remedy."""
    try:
        yield
    except UnicodeDecodeError as error:
        offset = piece.start + error.start
        raise UserError(
            f"{piece.source.path} is not UTF-8 at byte {offset} ({error.reason}); convert it,"
            " leave it out with `--glob`, or use `--vocabulary byte`, which takes any bytes"
        ) from error
    except UserError as error:
        if piece.source.path in str(error):
            raise
        raise UserError(f"{piece.source.path}: {error}") from error
