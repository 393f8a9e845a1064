"""Manifest of a corpus: what it is (`manifest.json`), and the fingerprint that identifies it.

The manifest is written last, by one rename: a directory that has one is complete. It holds
no times, hosts or absolute paths: equal corpora have equal manifests. It is sealed (see
`layout.sealed`), and has the digests of all files beside it, so whatever is damaged is noticed.
"""

import dataclasses
import os
from typing import Any, NamedTuple

from pipeline.files import join, sync_directory, whole_file
from pipeline.layout.sealed import digest_of, sealed

FILE_NAME = "manifest.json"
FORMAT = 5


class ShardPiece(NamedTuple):
    """What a shard encodes of a source.

    Attributes:
        source_index: of the source in the manifest.
        start: where it starts: a byte of the source (of a compressed file: 0), or a row.
        stop: where it stops, likewise.
        num_documents: documents that end in it, empty ones included, each with a separator; the
            ranges of a document that is cut among splits count as documents. Of sources with
            many, a shard has those that go to its split.
    """

    source_index: int
    start: int
    stop: int
    num_documents: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of a split.

    Attributes:
        file: its name in the corpus's directory.
        num_tokens: its tokens, separators included.
        num_records: its records; all but the last hold `record_tokens` tokens.
        disk_bytes: its size.
        text_bytes: the bytes of text in it.
        blake3: its digest, in hex.
        pieces: what it encodes, in order.
    """

    file: str
    num_tokens: int
    num_records: int
    disk_bytes: int
    text_bytes: int
    blake3: str
    pieces: tuple[ShardPiece, ...]

    @property
    def num_documents(self) -> int:
        """Documents that end in it: its separators."""
        return sum(piece.num_documents for piece in self.pieces)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """A part of a corpus that shares no text with the others.

    Attributes:
        shards: its files, in order.
    """

    shards: tuple[Shard, ...]

    @property
    def num_documents(self) -> int:
        """Documents in it, and ranges of documents that are cut among splits: its separators."""
        return sum(shard.num_documents for shard in self.shards)

    @property
    def num_tokens(self) -> int:
        """Tokens, separators included."""
        return sum(shard.num_tokens for shard in self.shards)

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of text: what bits per byte count."""
        return sum(shard.text_bytes for shard in self.shards)

    @property
    def disk_bytes(self) -> int:
        """The size of its shards."""
        return sum(shard.disk_bytes for shard in self.shards)


class SourceInfo(NamedTuple):
    """What was read.

    Attributes:
        name: the same in every place; unique within a corpus.
        source_bytes: its size where it lay, compressed or not.
        length: what its pieces count: bytes, or rows of Parquet and TFDS.
        is_document: whether it is one document whose pieces are each of one split; else it holds
            many, or is a compressed one in ranges, and its pieces stand in every split.
        is_plain: whether it is a document, and its bytes are the text's.
    """

    name: str
    source_bytes: int
    length: int
    is_document: bool
    is_plain: bool

    @property
    def unit(self) -> str:
        """What its pieces count: `byte` or `row`."""
        return "byte" if self.length == self.source_bytes else "row"


class SkippedRows(NamedTuple):
    """Rows of a source that have no text, and were skipped.

    Attributes:
        source_index: of the source in the manifest.
        num_rows: how many.
        first: of the first few, the position, what that counts (`row`, or `byte` of the text), and
            what is wrong.
    """

    source_index: int
    num_rows: int
    first: tuple[tuple[int, str, str], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a corpus is.

    Attributes:
        name: the name of the TFDS dataset.
        options: the options that it was prepared with.
        vocabulary_fingerprint: BLAKE3 of the vocabulary.
        vocabulary_size: the number of ids.
        dtype: the NumPy name of a stored token's type, little-endian.
        separator_id: the id that ends every document.
        record_tokens: the tokens of a full record.
        sources: what was read, in order.
        splits: name -> `Split`.
        skipped: what was left out of the sources that have bad rows, in order.
        file_formats: in which the records are there, as TFDS names them.
        files: the files beside the shards -> their BLAKE3, in hex.
    """

    name: str
    options: dict[str, Any]
    vocabulary_fingerprint: str
    vocabulary_size: int
    dtype: str
    separator_id: int
    record_tokens: int
    sources: tuple[SourceInfo, ...]
    splits: dict[str, Split]
    skipped: tuple[SkippedRows, ...]
    file_formats: tuple[str, ...]
    files: dict[str, str]

    @property
    def source_bytes(self) -> int:
        """The size of its sources where they lay."""
        return sum(source.source_bytes for source in self.sources)

    @property
    def num_skipped(self) -> int:
        """Rows that were skipped."""
        return sum(skipped.num_rows for skipped in self.skipped)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all splits."""
        return tuple(shard for split in self.splits.values() for shard in split.shards)

    def to_json(self) -> str:
        """Returns the content of the manifest's file."""
        return sealed(self._content())

    @property
    def digest(self) -> str:
        """What stands in the first line of the manifest's file, in hex."""
        return digest_of(self._content())

    @property
    def fingerprint(self) -> str:
        """BLAKE3 in hex. Equal fingerprints mean equal tokens, splits and sources."""
        content = self._content()
        del content["file_formats"], content["files"], content["skipped"]
        return digest_of(content)

    def save(self, directory: str | os.PathLike[str], *, once: bool = False) -> None:
        """Makes the corpus complete, with one rename, or put: see `whole_file`."""
        with whole_file(join(directory, FILE_NAME), once=once) as file:
            file.write(self.to_json().encode())
            sync_directory(directory)  # first the names of the shards: with it, all are there
        sync_directory(directory)

    def _content(self) -> dict[str, Any]:
        # As rows, in one line: a corpus may have millions of sources and pieces.
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"format": FORMAT, **fields, "splits": _splits_content(self.splits)}


def _splits_content(splits: dict[str, Split]) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(Shard)]
    return {
        name: {
            "shards": [{name: getattr(shard, name) for name in names} for shard in split.shards],
        }
        for name, split in splits.items()
    }
