"""Plain text: a file is one document, or holds many between delimiters."""

import dataclasses
from collections.abc import Iterator

from pipeline.files import open_file
from pipeline.text.formats.compressed import blocks_of, check_compression
from pipeline.text.formats.delimited import cut_documents, split_documents
from pipeline.text.formats.rows import documents_of_blocks
from pipeline.text.pieces import (
    FILE,
    Candidate,
    Documents,
    Format,
    Part,
    Piece,
    Reading,
    Source,
    boundary,
)

_SAMPLE_BYTES = 4 * 1024


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PlainText(Format):
    """Text in a file.

    Attributes:
        document: `file`, `line`, `blank_line` or the separator between documents.
        compression: `.gz`, `.bz2`, `.xz`, `.lzma`, `.zst` or nothing.
        binary: which known binary format it is, whose bytes are taken for text; or nothing.
    """

    document: str = FILE
    compression: str = ""
    binary: str = ""
    is_plain_text = True
    title = "text"

    @property
    def is_document(self) -> bool:
        """See `Format.is_document`."""
        return self.document == FILE

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`."""
        check_compression(candidate.path, candidate.compression)
        written = cls(
            document=reading.document,
            compression=candidate.compression,
            binary=candidate.binary,
            max_row_bytes=reading.max_row_bytes,
        )
        return candidate.source(written)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`.

        A document: at a `boundary`. Many documents: after the first that ends there, however long
        it is. A compressed file cannot be cut but at its end.
        """
        if self.compression:
            return source.length
        if not self.is_document:
            return cut_documents(source.path, source.source_bytes, self.document, offset)
        with open_file(source.path, stop=source.source_bytes) as file:
            file.seek(offset)
            return offset + boundary(file.read(max(search_bytes, 4)), search_bytes)

    def sample(self, source: Source) -> bytes:
        """See `Format.sample`.

        Its size, then its bytes as they lie there: all of a short file, else those at its
        beginning, its middle and its end.
        """
        places = [(0, source.source_bytes)]
        if source.source_bytes > 3 * _SAMPLE_BYTES:
            last = source.source_bytes - _SAMPLE_BYTES
            places = [(start, _SAMPLE_BYTES) for start in (0, last // 2, last)]
        samples = [b"%d\n" % source.source_bytes]
        with open_file(source.path, stop=source.source_bytes) as file:
            for start, num_bytes in places:
                file.seek(start)
                samples.append(file.read(num_bytes))
        return b"".join(samples)

    def blocks(self, piece: Piece) -> Iterator[Part]:
        """See `Format.blocks`."""
        blocks = blocks_of(piece)
        held: tuple[bytes, int] | None = None  # whether a block is the last is known after it
        for read in blocks:
            if held:
                yield Part(held[0], piece.start, held[1], False)
            held = read
        if held:
            yield Part(held[0], piece.start, held[1], True)

    def documents(self, piece: Piece) -> Iterator[Documents]:
        """See `Format.documents`."""
        return documents_of_blocks(
            blocks_of(piece),
            lambda blocks: split_documents(
                blocks, self.document, piece.start, max_row_bytes=self.max_row_bytes
            ),
        )

    def place_of(self, path: str, position: int) -> str:
        """See `Format.place_of`."""
        return path if self.is_document else f"{path}, the document at byte {position}"

    def problem_of(self, path: str, position: int, byte: int) -> str:
        """See `Format.problem_of`."""
        of_text = " of its text" if self.compression else ""
        return f"{path} is not UTF-8 at byte {position + byte}{of_text}"
