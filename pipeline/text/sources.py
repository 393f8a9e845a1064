"""Paths -> sources: what is read, in which order, under which name, as which format.

A source is one file, a split of a TensorFlow dataset or standard input; it holds one document
(text, by default) or many (rows; lines, by `--document line`). Its name is its path relative
to what all given paths have in common: it stands in the manifest, so that a corpus is the same
wherever its sources lie.
"""

import bisect
import fnmatch
import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import OptionError, UserError
from pipeline.files import file_status, files_below, is_uri, open_file, read_blocks
from pipeline.text.formats import json_lines, parquet, tfds
from pipeline.text.formats.compressed import check_compression, compression_of
from pipeline.text.formats.delimited import FILE, LINE, find_document_start, look_behind

STANDARD_INPUT = "-"
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz")

Format = Literal["text", "json_lines", "parquet", "tfds"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input: a file, a split of a TensorFlow dataset, or standard input.

    Attributes:
        path: where it lies on this machine.
        name: the same in every place; unique within a corpus.
        num_bytes: its size as it lies there, compressed or not.
        format: how its documents are written.
        compression: `.gz`, `.bz2`, `.xz`, `.zst` or nothing.
        document: of text: `file`, `line`, `blank_line` or the separator between documents.
        text_field: of rows: the field that holds the text.
        num_rows: of Parquet and TFDS, whose pieces are counted in rows.
        row_groups: of Parquet: the row that follows each row group.
    """

    path: str
    name: str
    num_bytes: int
    format: Format = "text"
    compression: str = ""
    document: str = FILE
    text_field: str = ""
    num_rows: int | None = None
    row_groups: tuple[int, ...] = ()

    @property
    def is_document(self) -> bool:
        """Whether it is one document, which may be read in blocks; else it holds many."""
        return self.format == "text" and self.document == FILE

    @property
    def length(self) -> int:
        """What its pieces count: rows, or bytes as they lie there."""
        return self.num_bytes if self.num_rows is None else self.num_rows


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How sources are read.

    Attributes:
        document: what a document is in text: `file`, `line`, `blank_line` or a separator.
        text_field: what holds the text in rows, `None` where there are none.
    """

    document: str = FILE
    text_field: str | None = None


def find_sources(
    paths: Iterable[str | os.PathLike[str]],
    *,
    glob: str | None = None,
    reading: Reading | None = None,
    standard_input: str | None = None,
) -> tuple[Source, ...]:
    """Lists the sources that `paths` name: as given, directories recursively and sorted.

    Args:
        paths: files, directories, URIs, `tfds:NAME:SPLIT` and `-` for standard input.
        glob: within directories, only files whose name matches; `None` takes all.
        reading: what a document is.
        standard_input: the file that holds what came there.

    Returns:
        The sources that have any text, in the order in which they will be read.

    Raises:
        UserError: nothing there, a file named twice, something that is not a file, rows
            without their field, or no text at all.
        OptionError: an option that has no effect on these sources.
    """
    given = [os.fspath(path) for path in paths]
    if not given:
        raise UserError("no source given; name at least one file or directory of text")
    reading = reading or Reading()
    names = _Names(given)
    sources: list[Source] = []
    seen: dict[object, str] = {}
    searched = False
    for path in given:
        if path.startswith(tfds.PREFIX):
            split = tfds.find_split(path, _field(path, reading))
            source = Source(
                path=split.directory,
                name=split.name,
                num_bytes=split.num_bytes,
                format="tfds",
                text_field=_field(path, reading),
                num_rows=split.num_rows,
            )
            _refuse_twice(seen, split.name, path)
            sources.append(source)
            continue
        if path == STANDARD_INPUT:
            assert standard_input is not None, "spooled by the caller"
            _refuse_twice(seen, path, path)
            sources.append(_standard_input(standard_input, reading))
            continue
        path = path if is_uri(path) else os.path.abspath(path)
        status = file_status(path)
        searched |= status.is_directory
        for file in _files_in(path, glob) if status.is_directory else [path]:
            status = file_status(file) if file is not path else status
            _refuse_twice(seen, status.identity, file)
            sources.append(_file_source(file, names.name_of(file), status.num_bytes, reading))
    if glob is not None and not searched:
        raise OptionError(f"`glob` {glob!r} has no effect: no directory is given")
    _check_names(sources)
    _check_effects(sources, reading)
    if not any(source.length for source in sources):
        listed = ", ".join(sorted({source.path for source in sources})[:3])
        raise UserError(f"the text is empty: {len(sources)} files of 0 bytes, such as {listed}")
    return tuple(source for source in sources if source.length)


def find_cut(source: Source, offset: int, search_bytes: int) -> int:
    """Returns where a source may be cut at `offset` or soon after.

    A document: behind the first newline of the `search_bytes` that follow; where there is
    none, at the first UTF-8 boundary, which is at most 3 bytes away (in bytes that are not
    UTF-8 at all: at `offset` itself). Many documents: behind the first that ends there, however
    long it is; Parquet: behind the row group. A compressed file cannot be cut but at its end.
    """
    if source.compression:
        return source.length
    if source.format == "tfds":
        return offset
    if source.format == "parquet":
        return source.row_groups[bisect.bisect_left(source.row_groups, offset)]
    if not source.is_document:
        document = LINE if source.format == "json_lines" else source.document
        start = max(0, offset - look_behind(document))
        blocks = read_blocks(source.path, start, source.num_bytes)
        found = find_document_start(blocks, document, offset)
        return source.num_bytes if found is None else found
    with open_file(source.path) as file:
        file.seek(offset)
        following = file.read(max(search_bytes, 4))
    newline = following.find(b"\n", 0, search_bytes)
    if newline >= 0:
        return offset + newline + 1
    for distance, byte in enumerate(following[:4]):
        if byte & 0xC0 != 0x80:  # not a continuation byte: a character starts here
            return offset + distance
    return offset


class _Names:
    """Paths -> names, relative to what the given paths have in common."""

    def __init__(self, given: Sequence[str]):
        local = [
            os.path.abspath(path)
            for path in given
            if not (is_uri(path) or path.startswith(tfds.PREFIX) or path == STANDARD_INPUT)
        ]
        folders = [path if os.path.isdir(path) else os.path.dirname(path) for path in local]
        self._base = os.path.commonpath(folders) if folders else ""
        # Beside local files a URI keeps its whole name, which no local one equals.
        uris = [path for path in given if is_uri(path)]
        schemes = {uri.partition("://")[0] for uri in uris}
        self._uri_base = None
        if not local and len(schemes) == 1:
            rests = [_rest(uri) for uri in uris]
            if len(rests) == 1 and not file_status(uris[0]).is_directory:
                rests = [posixpath.dirname(rests[0])]
            self._uri_base = posixpath.commonpath(rests)

    def name_of(self, file: str) -> str:
        if not is_uri(file):
            return os.path.relpath(file, self._base).replace(os.sep, "/")
        return file if self._uri_base is None else posixpath.relpath(_rest(file), self._uri_base)


def _rest(uri: str) -> str:
    return uri.partition("://")[2]


def _file_source(path: str, name: str, num_bytes: int, reading: Reading) -> Source:
    compression = compression_of(path)
    stem = path[: len(path) - len(compression)].lower()
    if stem.endswith(_ARCHIVES):
        raise UserError(
            f"{path} is an archive: unpack it, or leave it out with `--glob`; textreel reads files"
            " of text, compressed or not, JSON Lines and Parquet"
        )
    if stem.endswith(parquet.SUFFIX):
        if compression:
            raise UserError(f"{path}: decompress it; Parquet files are compressed inside")
        field = _field(path, reading)
        row_groups = parquet.find_row_groups(path, field)
        return Source(
            path=path,
            name=name,
            num_bytes=num_bytes,
            format="parquet",
            text_field=field,
            num_rows=row_groups[-1] if row_groups else 0,
            row_groups=row_groups,
        )
    if compression:
        check_compression(path, compression)
    if stem.endswith(json_lines.SUFFIXES):
        return Source(
            path=path,
            name=name,
            num_bytes=num_bytes,
            format="json_lines",
            compression=compression,
            text_field=_field(path, reading),
        )
    return Source(
        path=path,
        name=name,
        num_bytes=num_bytes,
        compression=compression,
        document=reading.document,
    )


def _standard_input(path: str, reading: Reading) -> Source:
    num_bytes = os.path.getsize(path)
    if num_bytes == 0:
        raise UserError("standard input is empty; nothing to prepare")
    if reading.text_field is None:
        return Source(
            path=path, name=STANDARD_INPUT, num_bytes=num_bytes, document=reading.document
        )
    return Source(
        path=path,
        name=STANDARD_INPUT,
        num_bytes=num_bytes,
        format="json_lines",
        text_field=reading.text_field,
    )


def _field(path: str, reading: Reading) -> str:
    if reading.text_field is None:
        raise UserError(
            f"{path} holds rows: name the field that holds the text with `--text_field`, or leave"
            " it out with `--glob`"
        )
    return reading.text_field


def _refuse_twice(seen: dict[object, str], identity: object, file: str) -> None:
    if identity in seen:
        raise UserError(
            f"the same file twice: {seen[identity]} and {file}; its text would stand in the"
            " corpus, and perhaps in two splits of it, more than once; name it once"
        )
    seen[identity] = file


def _check_names(sources: Sequence[Source]) -> None:
    named: dict[str, str] = {}
    for source in sources:
        other = named.setdefault(source.name, source.path)
        if other != source.path:
            raise UserError(f"{other} and {source.path} have one name, {source.name}; rename one")


def _check_effects(sources: Sequence[Source], reading: Reading) -> None:
    """Refuses options that change nothing, for they were meant to."""
    if reading.text_field is not None and all(source.format == "text" for source in sources):
        raise OptionError(
            f"`text_field` {reading.text_field!r} has no effect: all sources are plain text, and"
            " only JSON Lines (.jsonl), Parquet and tfds: have fields"
        )
    if reading.document != FILE and all(source.format != "text" for source in sources):
        raise OptionError(
            f"`document` {reading.document!r} has no effect: no source is plain text, and in the"
            " others every row is a document"
        )


def _files_in(directory: str, glob: str | None) -> list[str]:
    files = [
        file
        for file in files_below(directory)
        if glob is None or fnmatch.fnmatch(os.path.basename(file), glob)
    ]
    if not files:
        wanted = f"no file in it matches `glob` {glob!r}" if glob else "the directory is empty"
        raise UserError(f"{directory}: {wanted}; nothing to prepare")
    return files
