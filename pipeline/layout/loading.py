"""Loading of a manifest: what it says is checked, whoever wrote it: types, ranges and sums."""

import os
import re
from typing import Any

from pipeline.errors import UserError
from pipeline.files import exists, is_uri, join
from pipeline.layout.dataset_info import FEATURES_FILE, INFO_FILE
from pipeline.layout.manifest import (
    FILE_NAME,
    FORMAT,
    Manifest,
    Shard,
    ShardPiece,
    SkippedRows,
    SourceInfo,
    Split,
)
from pipeline.layout.names import ARRAY_RECORD, TFRECORD, shard_file_name
from pipeline.layout.records import file_bytes
from pipeline.layout.sealed import read_sealed

MAX_RECORD_TOKENS = 2**24
_ITEMSIZES = {"uint8": 1, "uint16": 2, "int32": 4}
_MAX = 2**63 - 1


def load_manifest(directory: str | os.PathLike[str]) -> Manifest:
    """Reads the manifest of a corpus, and checks all that it says.

    Raises:
        UserError: no such directory, no manifest in it, or a damaged one or one of another format.
    """
    path = join(directory, FILE_NAME)
    try:
        content = read_sealed(path)
    except FileNotFoundError as error:
        if not exists(os.fspath(directory)):
            raise UserError(f"no such corpus: {directory}") from error
        raise UserError(
            f"{directory} is no corpus: it has no {FILE_NAME}. If `textreel prepare` was "
            "stopped before it ended, run the same command again: it goes on where it was"
        ) from error
    if content.get("format") != FORMAT:
        raise UserError(
            f"{path} is of format {content.get('format')!r}, and this textreel reads {FORMAT}: "
            "another version made the corpus; read it with that one, or prepare a new corpus with "
            "this one"
        )
    try:
        manifest = _manifest(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {_said(error)}; prepare the corpus again") from error
    _check_files(os.fspath(directory), manifest)
    return manifest


def _check_files(directory: str, manifest: Manifest) -> None:
    """Refuses links and pipes among the files: they would lead elsewhere, or nowhere."""
    if is_uri(directory):
        return
    ours = {*(shard.file for shard in manifest.shards), *manifest.files}
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in ours and not entry.is_file(follow_symlinks=False):
                raise UserError(
                    f"{entry.path} is not a regular file; a corpus has its files in its directory"
                )


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _manifest(content: dict[str, Any]) -> Manifest:
    name = _text(content, "name", r"[A-Za-z][\w-]*")
    vocabulary_size = _natural(content, "vocabulary_size", 1, 2**31)
    dtype = _text(content, "dtype", "|".join(_ITEMSIZES))
    smallest = next(name for name, size in _ITEMSIZES.items() if vocabulary_size <= 256**size)
    _hold(dtype == smallest, f"dtype {dtype} is not that of {vocabulary_size} ids")
    record_tokens = _natural(content, "record_tokens", 1, MAX_RECORD_TOKENS)
    sources = tuple(_source(row) for row in _list(content, "sources"))
    _hold(len({source.name for source in sources}) == len(sources), "two sources have one name")
    splits = {
        split: _split(name, split, value, sources, record_tokens, _ITEMSIZES[dtype])
        for split, value in _object(content, "splits").items()
    }
    _hold(splits, "there is no split")
    options = _object(content, "options")
    _hold(list(options["splits"]) == list(splits), "the splits are not those of the options")
    files = _object(content, "files")
    _hold({INFO_FILE, FEATURES_FILE} < files.keys(), f"`files` lacks {INFO_FILE}")
    for file in files:
        _text(files, file, r"[0-9a-f]{64}")
        is_name = re.fullmatch(r"[\w-]+\.(json|model)", file)
        _hold(is_name, f"{file!r} is no name of a file beside shards")
    formats = tuple(_list(content, "file_formats"))
    _hold(formats in ((TFRECORD,), (TFRECORD, ARRAY_RECORD)), f"no file formats: {formats}")
    return Manifest(
        name=name,
        options=options,
        vocabulary_fingerprint=_text(content, "vocabulary_fingerprint", r"[0-9a-f]{64}"),
        vocabulary_size=vocabulary_size,
        dtype=dtype,
        separator_id=_natural(content, "separator_id", 0, vocabulary_size - 1),
        record_tokens=record_tokens,
        sources=sources,
        skipped=tuple(_skipped(row, sources) for row in _list(content, "skipped")),
        splits=splits,
        file_formats=formats,
        files=files,
    )


def _source(row: Any) -> SourceInfo:
    name, source_bytes, length, is_document, is_plain = row
    if not (
        type(name) is str
        and type(source_bytes) is type(length) is int
        and type(is_document) is type(is_plain) is bool
        and 0 < source_bytes <= _MAX
        and 0 < length <= _MAX
    ):
        raise ValueError(f"{row!r} is no source")
    return SourceInfo(name, source_bytes, length, is_document, is_plain)


def _skipped(row: Any, sources: tuple[SourceInfo, ...]) -> SkippedRows:
    index, num_rows, first = row
    if not (
        type(index) is type(num_rows) is int
        and 0 <= index < len(sources)
        and 0 < len(first) <= num_rows <= _MAX
        and all(
            type(position) is int
            and position >= 0
            and unit in ("row", "byte")
            and type(reason) is str
            for position, unit, reason in first
        )
    ):
        raise ValueError(f"{row!r} are no skipped rows")
    return SkippedRows(index, num_rows, tuple((*each,) for each in first))


def _split(
    name: str,
    split: str,
    content: Any,
    sources: tuple[SourceInfo, ...],
    record_tokens: int,
    itemsize: int,
) -> Split:
    _hold(re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII), f"{split!r} is no name of a split")
    given = _list(content, "shards")
    _hold(given, f"split {split!r} has no shard")
    shards = tuple(_shard(value, sources) for value in given)
    for index, shard in enumerate(shards):
        expected = shard_file_name(name, split, index, len(shards))
        _hold(shard.file == expected, f"the file {shard.file!r} is called {expected}")
        num_records = -(-shard.num_tokens // record_tokens)
        disk_bytes = file_bytes(shard.num_tokens, record_tokens=record_tokens, itemsize=itemsize)
        _hold(
            (shard.num_records, shard.disk_bytes) == (num_records, disk_bytes),
            f"{shard.file}: {shard.num_tokens} tokens are not {shard.num_records} records of "
            f"{shard.disk_bytes} bytes",
        )
    return Split(shards=shards)


def _shard(content: Any, sources: tuple[SourceInfo, ...]) -> Shard:
    file = _text(content, "file", ".+")
    pieces = tuple(ShardPiece(*row) for row in _list(content, "pieces"))
    for index, start, stop, num_documents in pieces:
        if not (
            type(index) is type(start) is type(stop) is type(num_documents) is int
            and 0 <= index < len(sources)
            and 0 <= start < stop <= sources[index].length
            and 0 <= num_documents <= _MAX
        ):
            row = [index, start, stop, num_documents]
            raise ValueError(f"{file}: {row!r} is no piece of a source")
    return Shard(
        file=file,
        num_tokens=_natural(content, "num_tokens"),
        num_records=_natural(content, "num_records"),
        disk_bytes=_natural(content, "disk_bytes"),
        text_bytes=_natural(content, "text_bytes"),
        blake3=_text(content, "blake3", r"[0-9a-f]{64}"),
        pieces=pieces,
    )


def _natural(content: dict[str, Any], key: str, least: int = 0, most: int = _MAX) -> int:
    value = content[key]
    _hold(type(value) is int and least <= value <= most, f"`{key}` is {value!r}")
    return int(value)


def _text(content: dict[str, Any], key: str, pattern: str) -> str:
    value = content[key]
    matches = type(value) is str and re.fullmatch(pattern, value, re.ASCII)
    _hold(matches, f"`{key}` is {value!r}")
    return str(value)


def _list(content: dict[str, Any], key: str) -> list[Any]:
    value = content[key]
    _hold(type(value) is list, f"`{key}` is no list")
    return list(value)


def _object(content: dict[str, Any], key: str) -> dict[str, Any]:
    value = content[key]
    _hold(type(value) is dict, f"`{key}` is no object")
    return dict(value)


def _hold(condition: Any, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
