"""Samples of a text that is to be prepared, in bounded time.

Of a document in a plain file, any block can be read; of compressed text and of rows, the beginning
of a piece alone. A sample says how many bytes of the sources it stands for: those up to the next
block, or its whole piece.
"""

import codecs
import dataclasses
import random
import time
from typing import NamedTuple

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES, read_blocks
from pipeline.text.documents import errors_name, read_parts
from pipeline.text.pieces import Piece

_NUM_SAMPLES, _MOST_SAMPLES = 64, 2000  # of large files; of small ones
_KEPT_BYTES, _MOST_KEPT_BYTES = 2**24, 2**22  # of the text of all beginnings, and of one
_SECONDS = 0.5  # for all samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """Some text.

    Attributes:
        piece: where it stands.
        texts: what is kept of it: blocks of a document, or whole documents.
        read_text: bytes of text that were read, of which `texts` are a part.
        read_source: bytes of the piece that hold them.
        read_documents: rows or lines that end there.
        stands_for: bytes of the sources.
        is_least: `read_source` holds at least that much, perhaps far more.
    """

    piece: Piece
    texts: tuple[bytes, ...]
    read_text: int
    read_source: int
    read_documents: int = 0
    stands_for: int
    is_least: bool = False

    @property
    def kept_text(self) -> int:
        """The bytes of its texts."""
        return sum(map(len, self.texts))


def take_samples(pieces: list[Piece], total: int, *, is_utf8: bool) -> list[Sample]:
    """Takes samples at even distances in the text laid end to end, in no order; all if it is short.

    Args:
        pieces: the text.
        total: their bytes.
        is_utf8: whether it must be UTF-8; then texts have whole characters.

    Raises:
        UserError: there is no text in what was read; or it is not UTF-8 where it must be.
    """
    places = _places(pieces, total)
    # Where there is no time for all, what is read is from everywhere.
    random.Random(0).shuffle(places)
    num_beginnings = sum(not is_plain(place.piece) for place in places)  # to come
    deadline = time.monotonic() + _SECONDS
    samples: list[Sample] = []
    for place in places:
        if samples and time.monotonic() > deadline:
            break
        if is_plain(place.piece):
            samples.append(_block(place, is_utf8=is_utf8))
        else:
            samples.append(_beginning(place, num_beginnings, deadline, is_utf8=is_utf8))
            num_beginnings -= 1
    if not any(sample.read_text for sample in samples):
        shown = ", ".join(sorted({sample.piece.source.path for sample in samples})[:3])
        raise UserError(f"the text is empty: there is none in what was read of {shown}")
    return samples


class _Place(NamedTuple):
    """Where a sample begins, and the bytes of the sources that it stands for."""

    piece: Piece
    start: int
    stands_for: int


def _places(pieces: list[Piece], total: int) -> list[_Place]:
    """Where samples begin: at even distances, but at the beginning of what fits into a block."""
    mean = min(BLOCK_BYTES, total // len(pieces) + 1)
    num_samples = min(max(_NUM_SAMPLES, _NUM_SAMPLES * BLOCK_BYTES // mean), _MOST_SAMPLES)
    distance = total // num_samples
    places: list[_Place] = []
    passed = wanted = 0
    for piece in pieces:
        end = passed + piece.source_bytes
        while wanted < end:
            start = piece.start
            if is_plain(piece) and piece.source_bytes > BLOCK_BYTES:
                start += wanted - passed
                stands_for = max(distance, min(BLOCK_BYTES, piece.stop - start))
            else:
                stands_for = max(distance, end - wanted)
            places.append(_Place(piece, start, stands_for))
            wanted += stands_for
        passed = end
    return places


def is_plain(piece: Piece) -> bool:
    """Whether any block of it can be read, and is text as it stands."""
    return piece.source.is_document and not piece.source.format.compression


def _block(place: _Place, *, is_utf8: bool) -> Sample:
    piece, start, stands_for = place
    stop = min(start + BLOCK_BYTES, piece.stop)
    text = b"".join(read_blocks(piece.source.path, start, stop))
    if is_utf8:
        text = _whole(piece, text, start - piece.start, is_cut=stop < piece.stop)
    num_bytes = stop - start
    return Sample(
        piece=piece,
        texts=(text,),
        read_text=num_bytes,
        read_source=num_bytes,
        stands_for=stands_for,
    )


def _beginning(place: _Place, num_left: int, deadline: float, *, is_utf8: bool) -> Sample:
    """What can be read in a share of the time, of which texts at even distances are kept.

    A format reads its file block by block, and the text of a block comes out bit by bit: how much
    a block holds is known when the next one is read. That is waited for until the deadline.
    """
    piece, now = place.piece, time.monotonic()
    enough = now + (deadline - now) / num_left
    most_kept = min(_MOST_KEPT_BYTES, _KEPT_BYTES // num_left)
    is_document = piece.source.is_document
    texts: list[bytes] = []
    stride = 1  # of parts, of which one is kept
    num_kept = num_bytes = text_bytes = num_documents = 0
    known = (0, 0, 0)  # bytes of text, of the source that hold them, and documents
    for index, part in enumerate(read_parts(piece)):
        if part.num_done and num_bytes:
            # This text began in what was read before, and ends in what was read for it.
            known = text_bytes + len(part.text) // 2, num_bytes, num_documents
        if index % stride == 0:
            text = part.text
            if is_utf8 and is_document:
                text = _whole(piece, text, text_bytes, is_cut=not part.final)
            elif is_utf8:
                with errors_name(piece.source, part.position):
                    text.decode()
            texts.append(text)
            num_kept += len(text)
        if num_kept > most_kept and len(texts) > 1:
            texts, stride = texts[::2], 2 * stride
            num_kept = sum(map(len, texts))
        text_bytes += len(part.text)
        num_bytes += part.num_done
        num_documents += not is_document
        if text_bytes and time.monotonic() > (enough if known[1] else deadline):
            break
    else:
        known = text_bytes, piece.source_bytes, num_documents
    is_least = text_bytes > 0 and not known[1]
    if is_least:
        known = text_bytes, max(num_bytes, 1), num_documents
    return Sample(
        piece=piece,
        texts=tuple(texts),
        read_text=known[0],
        read_source=known[1],
        read_documents=known[2],
        stands_for=place.stands_for,
        is_least=is_least,
    )


def _whole(piece: Piece, text: bytes, offset: int, *, is_cut: bool) -> bytes:
    """The whole characters of a block.

    Args:
        piece: a document, or a part of one.
        text: of it.
        offset: of the block in the piece's text, where it may begin inside a character.
        is_cut: whether it may end inside one.
    """
    first = 0
    while offset and first < min(3, len(text)) and text[first] & 0xC0 == 0x80:
        first += 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    with errors_name(piece.source, piece.start + offset + first):
        decoder.decode(text[first:], final=not is_cut)
    return text[first : len(text) - len(decoder.getstate()[0])]
