"""Manifest of a corpus: what it is (`manifest.json`), and the fingerprint that identifies it.

The manifest is written last, by one rename: a directory that has one is complete. It holds
no times, hosts or absolute paths: equal corpora have equal manifests.
"""

import dataclasses
import hashlib
import json
import os
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.files import exists, join, read_text, sync_directory, whole_file

FILE_NAME = "manifest.json"
FORMAT = 1
# What the fields of a shard are called in the file, in this order.
_SHARD_KEYS = {
    "file": "file",
    "num_tokens": "num_tokens",
    "num_records": "num_records",
    "num_bytes": "disk_bytes",
    "num_text_bytes": "text_bytes",
    "sha256": "sha256",
    "pieces": "pieces",
}


class ShardPiece(NamedTuple):
    """What a shard encodes of a source.

    Attributes:
        source_index: of the source in the manifest.
        start: where it starts: a byte of the source (of a compressed file: 0), or a row.
        stop: where it stops, likewise.
        num_documents: documents that end in it, empty ones included. Of sources with many
            documents, a shard has those that the hash of their content sends to its split.
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
        sha256: its digest, in hex.
        pieces: what it encodes, in order.
    """

    file: str
    num_tokens: int
    num_records: int
    disk_bytes: int
    text_bytes: int
    sha256: str
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
        num_documents: documents with text in it; rows count even where they are empty.
    """

    shards: tuple[Shard, ...]
    num_documents: int

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
        is_document: whether it is one document, else it holds many.
        is_plain: whether it is one document, and its bytes are the text's.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a corpus is.

    Attributes:
        name: the name of the TFDS dataset.
        options: the options that it was prepared with.
        vocabulary_fingerprint: SHA-256 of the vocabulary.
        vocabulary_size: the number of ids.
        dtype: the NumPy name of a stored token's type, little-endian.
        separator_id: the id that ends every document.
        record_tokens: the tokens of a full record.
        sources: what was read, in order.
        splits: name -> `Split`.
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

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards of all splits."""
        return tuple(shard for split in self.splits.values() for shard in split.shards)

    def to_json(self) -> str:
        """Returns the content of the manifest's file."""
        # As rows, in one line: a corpus may have millions of sources and pieces.
        content = {
            "format": FORMAT,
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "sources": self.sources,
            "splits": {
                name: {
                    "num_documents": split.num_documents,
                    "shards": [
                        {key: getattr(shard, field) for key, field in _SHARD_KEYS.items()}
                        for shard in split.shards
                    ],
                }
                for name, split in self.splits.items()
            },
        }
        return json.dumps(content) + "\n"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the manifest, in hex. Equal fingerprints mean equal tokens and splits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Makes the corpus complete, with one rename."""
        with whole_file(join(directory, FILE_NAME)) as file:
            file.write(self.to_json().encode())
            sync_directory(directory)  # first the names of the shards: with it, all are there
        sync_directory(directory)


def load_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """Reads the manifest of a corpus.

    Raises:
        UserError: no such directory, no manifest in it, or a damaged or a newer one.
    """
    path = join(directory, FILE_NAME)
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError as error:
        if not exists(os.fspath(directory)):
            raise UserError(f"no such corpus: {directory}") from error
        raise UserError(
            f"{directory} is no corpus: it has no {FILE_NAME}. If `textreel prepare` was "
            "stopped before it ended, run the same command again: it goes on where it was"
        ) from error
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); prepare the corpus again") from error
    if content.pop("format", None) != FORMAT:
        raise UserError(f"{path} is not of format {FORMAT}; prepare the corpus with this textreel")
    try:
        splits = {name: _split(split) for name, split in content.pop("splits").items()}
        sources = tuple(SourceInfo(*source) for source in content.pop("sources"))
        return Manifest(**content, sources=sources, splits=splits)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); prepare the corpus again") from error


def _split(content: dict[str, Any]) -> Split:
    return Split(
        shards=tuple(map(_shard, content["shards"])), num_documents=content["num_documents"]
    )


def _shard(content: dict[str, Any]) -> Shard:
    fields = {field: content[key] for key, field in _SHARD_KEYS.items()}
    return Shard(**{**fields, "pieces": tuple(ShardPiece(*piece) for piece in fields["pieces"])})
