"""What a corpus is: `manifest.json`, and the fingerprint that identifies it.

The manifest is written last, by one rename: a directory that has one is complete. It holds
no times, hosts or absolute paths: equal corpora have equal manifests.
"""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import UserError
from pipeline.files import exists, join, read_text

FILE_NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One file of a split.

    Attributes:
        file: its name in the corpus's directory.
        num_tokens: its tokens, separators included.
        num_records: its records; all but the last hold `record_tokens` tokens.
        num_bytes: its size on disk.
        num_text_bytes: the bytes of source text in it.
        sha256: its digest, in hex.
        pieces: what it encodes: `(source_index, start, stop, num_documents)`. `start` and `stop`
            are byte offsets in the source (of a compressed file: 0 and its size), or rows of
            Parquet and TFDS. Of sources with many documents, it has those that the hash of
            their content sends to its split. `num_documents` end in it, empty ones included.
    """

    file: str
    num_tokens: int
    num_records: int
    num_bytes: int
    num_text_bytes: int
    sha256: str
    pieces: tuple[tuple[int, int, int, int], ...]

    @property
    def num_documents(self) -> int:
        """Documents that end in it: its separators."""
        return sum(num_documents for _, _, _, num_documents in self.pieces)


@dataclass(frozen=True, kw_only=True)
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
    def num_bytes(self) -> int:
        """UTF-8 bytes of source text: what bits per byte count."""
        return sum(shard.num_text_bytes for shard in self.shards)


class SourceInfo(NamedTuple):
    """What was read.

    Attributes:
        name: the same in every place; unique within a corpus.
        num_bytes: its size as it lies there, compressed or not.
        length: what its pieces count: bytes, or rows of Parquet and TFDS.
        is_document: whether it is one document, else it holds many.
        is_plain: whether it is one document, and its bytes are the text's.
    """

    name: str
    num_bytes: int
    length: int
    is_document: bool
    is_plain: bool


@dataclass(frozen=True, kw_only=True)
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

    def to_json(self) -> str:
        """Returns the content of the manifest's file."""
        # As rows, in one line: a corpus may have millions of sources and pieces.
        content = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in _fields(Manifest)},
            "sources": self.sources,
            "splits": {
                name: {
                    "num_documents": split.num_documents,
                    "shards": [
                        {n: getattr(shard, n) for n in _fields(Shard)} for shard in split.shards
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
        path = Path(directory, FILE_NAME)
        temporary = path.with_name(f".{FILE_NAME}.incomplete")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(self.to_json())
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(folder)  # the shards' names first: a manifest means that all are there
            temporary.replace(path)
            os.fsync(folder)
        finally:
            os.close(folder)


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
            f"{directory} is no corpus: it has no {FILE_NAME}. If `textreel prepare` was"
            " stopped before it ended, run the same command again: it goes on where it was"
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


def _fields(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _split(content: dict[str, Any]) -> Split:
    shards = tuple(
        Shard(
            **{
                **shard,
                "pieces": tuple((i, start, stop, n) for i, start, stop, n in shard["pieces"]),
            }
        )
        for shard in content["shards"]
    )
    return Split(shards=shards, num_documents=content["num_documents"])
