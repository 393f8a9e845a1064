"""Sources, pieces of them and their formats: what is read, in the terms of the plan. Pure.

    candidate   what may be a source
    source      one input: a file, a split of a TensorFlow dataset, or a stream (standard input)
    piece       a stretch of a source that stands in one shard
    documents   those of a piece, many at a time
    part        one of them, or a block of a document that fills its source
    format      how the documents of a source are written: a class in `text.formats`

A source holds one document (text, by default) or many (rows; lines, by `--document line`).
"""

import codecs
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipeline.text.bad_rows import RowError

# What a document is in plain text. Anything else is a separator.
DOCUMENTS = FILE, LINE, BLANK_LINE = "file", "line", "blank_line"
STANDARD_INPUT = "-"  # as it is given, and its name
MAX_ROW_BYTES = 256 * 2**20

Blocks = Iterable[tuple[bytes, int]]  # of text, and how many bytes of the source each took


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """How sources are read.

    Attributes:
        document: what a document is in text: `file`, `line`, `blank_line` or a separator.
        text_field: what holds the text in rows, `None` where there are none.
        max_row_bytes: most bytes of a row, a line or another document of a source with many: it
            is held in memory as a whole.
        allow_binary: takes files of known binary formats, byte by byte.
        skip_bad_rows: leaves out the rows that have no text (`text.bad_rows`).
        utf8_only: a row that is no UTF-8 has no text; else whoever encodes it says so.
        token_bytes: of an id in files of token ids, which all sources are then; 0: they are text.
    """

    document: str = FILE
    text_field: str | None = None
    max_row_bytes: int = MAX_ROW_BYTES
    allow_binary: bool = False
    skip_bad_rows: bool = False
    utf8_only: bool = False
    token_bytes: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What may be a source, as it looks before its format is known.

    Attributes:
        path: of a file, or what the user wrote where that is none.
        name: of the source.
        source_bytes: the size of the file.
        modified: when it last changed, in nanoseconds.
        stem: its path in lower case, without a suffix of compression.
        compression: `.gz`, `.bz2`, `.xz`, `.lzma`, `.zst` or nothing.
        head: the first bytes of its text; none where they were not read.
        binary: which known binary format it is, or nothing.
    """

    path: str
    name: str
    source_bytes: int = 0
    modified: int = 0
    stem: str = ""
    compression: str = ""
    head: bytes = b""
    binary: str = ""

    @property
    def is_json(self) -> bool:
        """Whether it is called `.json`."""
        return self.stem.endswith(".json")

    def may_begin(self, character: bytes) -> bool:
        """Whether its text begins with a character, but for space and a byte order mark."""
        return self.head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(character)

    def source(self, written: "Format", *, num_rows: int | None = None) -> "Source":
        """Returns the source that it is."""
        return Source(
            path=self.path,
            name=self.name,
            source_bytes=self.source_bytes,
            format=written,
            num_rows=num_rows,
            modified=self.modified,
        )


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How the documents of a source are written. Use one of `text.formats`.

    A format tells whether a path is one of its sources (`find`, a class method), where such a
    source may be cut, which documents a piece of it holds, and how people find one of them.

    Attributes:
        max_row_bytes: most bytes of a document in a source of many.
    """

    max_row_bytes: int = MAX_ROW_BYTES

    prefix = ""  # that marks its sources, where they are no files
    title = ""  # for people
    compression = ""  # the suffix, of formats that may be compressed
    is_plain_text = False  # else it holds rows, whose field `--text_field` names, or ids
    token_bytes = 0  # of an id, little-endian, of formats whose blocks are token ids and no text
    given_split = ""  # the split of a source, of formats that say it
    skip_bad_rows = False  # that `Documents.bad` has; else they are errors
    position_unit = "byte"  # what `Documents.positions` counts

    @property
    def is_document(self) -> bool:
        """Whether a source is one document; else it holds many."""
        return False

    @classmethod
    def find(cls, candidate: "Candidate", reading: Reading) -> "Source | None":
        """Returns the source that a candidate is, or `None` where it is of another format.

        Args:
            candidate: what may be a source.
            reading: how sources are read.

        Raises:
            UserError: it is of this format, but cannot be read; it says why.
        """
        raise NotImplementedError

    def cut(self, source: "Source", offset: int, search_bytes: int) -> int:
        """Returns where a source may be cut at `offset` or soon after.

        Args:
            source: of this format.
            offset: what its pieces count: a byte, or a row.
            search_bytes: how far a cut inside a document may move to meet a newline.
        """
        raise NotImplementedError

    def sample(self, source: "Source") -> bytes:
        """Returns bytes by which a document is known: equal for equal ones, whatever their names.

        Args:
            source: of this format, one document.
        """
        raise NotImplementedError

    def blocks(self, piece: "Piece") -> "Iterator[Part]":
        """Yields what a piece of one document holds, block by block.

        Raises:
            UserError: the source is damaged, truncated or has changed.
        """
        raise NotImplementedError

    def documents(self, piece: "Piece") -> "Iterator[Documents]":
        """Yields what a piece of a source of many holds, as many at a time as come at once.

        Raises:
            UserError: the source is damaged, truncated or has changed.
            RowError: what spoils the rest of the source.
        """
        raise NotImplementedError

    def place_of(self, path: str, position: int) -> str:
        """Names a document for people, by the path of its source and its `Part.position`."""
        raise NotImplementedError

    def problem_of(self, path: str, position: int, byte: int) -> str:
        """Says for people which byte of the text of a document is no UTF-8.

        Args:
            path: of the source.
            position: `Part.position` of the document.
            byte: counted from the beginning of its text.
        """
        raise NotImplementedError


class Stream(NamedTuple):
    """What can be read only once, and was kept as a file.

    Attributes:
        path: of the file.
        name: of the source.
        shown: how people name it.
    """

    path: str
    name: str
    shown: str


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input.

    Attributes:
        path: where it lies on this machine.
        stream: how people name it, where it is a stream, which is kept as a file.
        name: the same in every place; unique within a corpus. It stands in the manifest.
        source_bytes: its size where it lies, compressed or not.
        format: how its documents are written.
        num_rows: of formats whose pieces are counted in rows.
        modified: when it last changed, in nanoseconds, as it was found.
    """

    path: str
    name: str
    source_bytes: int
    format: Format
    num_rows: int | None = None
    modified: int = 0
    stream: str = ""

    @property
    def is_document(self) -> bool:
        """Whether it is one document, which may be read in blocks; else it holds many."""
        return self.format.is_document

    @property
    def shown(self) -> str:
        """How people name it."""
        return self.stream or self.path

    @property
    def length(self) -> int:
        """What its pieces count: rows, or bytes of the file."""
        return self.source_bytes if self.num_rows is None else self.num_rows

    def cut(self, offset: int, search_bytes: int) -> int:
        """Returns where it may be cut at `offset` or soon after; see `Format.cut`."""
        return self.format.cut(self, offset, search_bytes)

    def sample(self) -> bytes:
        """Returns bytes by which it is known; see `Format.sample`."""
        return self.format.sample(self)

    def place_of(self, position: int) -> str:
        """Names a document for people; see `Format.place_of`."""
        return self.named(self.format.place_of(self.path, position))

    def named(self, message: str) -> str:
        """Returns a message with the name that people know in place of the path."""
        return message.replace(self.path, self.shown)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a source.

    Attributes:
        source: the source.
        start: where it starts: a byte of the file, or a row.
        stop: where it stops, likewise. A compressed file is one piece, `0 … source_bytes`.
        split: the split of its text; `None` where its text goes to several, document by document
            or, of a compressed document, range by range.
        ends_document: whether a document ends here, or a range of one that is in another split
            than what follows, so that a separator comes next; where the source is a document.
    """

    source: Source
    start: int
    stop: int
    split: str | None = None
    ends_document: bool = True

    def may_hold(self, split: str) -> bool:
        """Whether it may have text in a split."""
        return self.split in (None, split)

    @property
    def source_bytes(self) -> int:
        """Its part of the source's bytes; exact but for rows, which count as equally long."""
        length = self.stop - self.start
        if self.source.num_rows is None:
            return length
        return length * self.source.source_bytes // self.source.length


class Documents(NamedTuple):
    """Documents that follow one another in a piece; what is done for each alone is dear.

    Attributes:
        texts: their bytes.
        positions: of each: its row, else its first byte in the source's text.
        num_done: how many more of the piece's `source_bytes` are done with them.
        bad: the rows among them that have no text.
    """

    texts: list[bytes]
    positions: Sequence[int]
    num_done: int = 0
    bad: Sequence[RowError] = ()

    def where(self, chosen: Sequence[bool]) -> "Documents":
        """Returns the texts that are chosen; none of the bytes count as done."""
        return Documents(
            list(itertools.compress(self.texts, chosen)),
            list(itertools.compress(self.positions, chosen)),
        )


class Part(NamedTuple):
    """A document, or a block of one that fills its source.

    Attributes:
        text: its bytes.
        position: of a document: its row, else its first byte in the source's text. Of a block:
            the first byte of the piece that it belongs to.
        num_done: how many more of the piece's `source_bytes` are done with it.
        final: nothing more of this document in this piece.
    """

    text: bytes
    position: int
    num_done: int
    final: bool


def boundary(following: bytes, search_bytes: int) -> int:
    """Returns how far after a wanted place in a text it may be cut.

    After the first newline of the `search_bytes` that follow; where there is none, at the first
    UTF-8 boundary or the end, at most 3 bytes away (in bytes that are not UTF-8 at all: at once).

    Args:
        following: the text from that place on, `max(search_bytes, 4)` bytes or up to its end.
        search_bytes: how far to look for a newline.
    """
    newline = following.find(b"\n", 0, search_bytes)
    if newline >= 0:
        return newline + 1
    for distance, byte in enumerate(following[:4]):
        if byte & 0xC0 != 0x80:  # not a continuation byte: a character starts here
            return distance
    return len(following) if len(following) < 4 else 0
