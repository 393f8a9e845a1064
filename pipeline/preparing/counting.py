"""Characters and samples of the text: what a vocabulary is made from.

What is odd about a text is not said here, for it is when the shards are written.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from pipeline.errors import unsaid
from pipeline.files import read_ranges
from pipeline.preparing.engines import Advance
from pipeline.preparing.plan import Pieces
from pipeline.text.documents import errors_name, read_documents, read_parts
from pipeline.vocabulary.characters import NUM_CODE_POINTS, CodePoints

_COUNTED = 2**18  # code points that are counted at once: the copies of a long row would be large


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleTask:
    """A part of the text to take samples of.

    Attributes:
        pieces: the text.
        distance: bytes of the sources from one sample to the next.
        text_bytes: of a sample.
    """

    pieces: Pieces
    distance: int
    text_bytes: int


def find_code_points(pieces: Pieces, advance: Advance) -> np.ndarray:
    """Returns the code points that occur in the pieces, `[n]` uint32 ascending.

    Raises:
        UserError: text that is not UTF-8; it names the file and the byte offset.
    """
    seen = np.zeros(NUM_CODE_POINTS, bool)
    ascii_seen = b""
    with unsaid():
        for points in _code_points(pieces, advance):
            if points.dtype == np.uint8:  # ten times faster than a gather
                ascii_seen += bytes(set(points.tobytes().translate(None, ascii_seen)))
            else:
                seen[points] = True
    seen[list(ascii_seen)] = True
    return np.flatnonzero(seen).astype(np.uint32)


def count_code_points(pieces: Pieces, advance: Advance) -> tuple[np.ndarray, np.ndarray]:
    """Returns the code points that occur in the pieces, and how often: `[n]` uint32, `[n]` int64.

    Raises:
        UserError: text that is not UTF-8; it names the file and the byte offset.
    """
    counts = np.zeros(NUM_CODE_POINTS, np.int64)
    with unsaid():
        for points in _code_points(pieces, advance):
            for start in range(0, len(points), _COUNTED):
                part = points[start : start + _COUNTED]
                if part.itemsize <= 2:  # up to twenty times faster than sorting them
                    times = np.bincount(part)
                    counts[: len(times)] += times
                else:
                    found, times = np.unique(part, return_counts=True)
                    counts[found] += times
    points = np.flatnonzero(counts)
    return points.astype(np.uint32), counts[points]


def sample_texts(task: SampleTask, advance: Advance) -> list[bytes]:
    """Returns texts at even distances, cut anywhere; whole documents of sources with many.

    Raises:
        UserError: a source is damaged or has changed.
    """
    texts = []
    wanted = 0
    for piece in task.pieces:
        if piece.source.is_document and not piece.source.format.compression:
            wanted = max(wanted, 0)  # blocks may be longer than the distance
            starts = range(piece.start + wanted, piece.stop, task.distance)
            stops = [min(start + task.text_bytes, piece.stop) for start in starts]
            texts += read_ranges(piece.source.path, starts, stops)
            advance(piece.source_bytes)
            wanted += len(starts) * task.distance - piece.source_bytes
            continue
        with unsaid():
            for part in read_parts(piece):
                advance(part.num_done)
                if wanted <= 0:
                    texts.append(part.text[: task.text_bytes])
                    wanted += task.distance
                wanted -= len(part.text)
    return texts


def _code_points(pieces: Pieces, advance: Advance) -> Iterator[np.ndarray]:
    for piece in pieces:
        if piece.source.is_document:
            decoder = CodePoints()
            for part in read_parts(piece):
                with errors_name(piece.source, part.position):
                    yield decoder.decode(part.text, final=part.final)
                advance(part.num_done)
            continue
        for documents in read_documents(piece):
            texts = documents.texts
            try:
                yield CodePoints().decode(b"\0".join(texts), final=True)
            except UnicodeDecodeError:
                for text, position in zip(texts, documents.positions, strict=True):
                    with errors_name(piece.source, position):
                        CodePoints().decode(text, final=True)
                raise
            advance(documents.num_done)
