"""Sources that paths name: which, in which order, under which names, in which formats.

A source's name is its path relative to what all given paths have in common: it stands in the
manifest, so that a corpus is the same wherever its sources lie.
"""

import dataclasses
import fnmatch
import os
import posixpath
from collections.abc import Iterable, Sequence

from pipeline.errors import OptionError, UserError
from pipeline.files import file_status, files_below, is_uri
from pipeline.terminal import as_utf8
from pipeline.text.formats import FORMATS, JsonLines, PlainText
from pipeline.text.formats.compressed import compression_of
from pipeline.text.pieces import FILE, STANDARD_INPUT, Format, Reading, Source

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz")


def find_sources(
    paths: Iterable[str | os.PathLike[str]],
    *,
    glob: str | None = None,
    reading: Reading | None = None,
    standard_input: str | None = None,
    leave_out: str | os.PathLike[str] | None = None,
) -> tuple[Source, ...]:
    """Lists the sources that `paths` name: as given, directories recursively and sorted.

    Args:
        paths: files, directories, URIs, `tfds:NAME:SPLIT` and `-` for standard input.
        glob: within directories, only files whose name matches; `None` takes all.
        reading: what a document is.
        standard_input: the file that holds what came there.
        leave_out: a directory that is no source, such as the one that the corpus goes to.

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
        if path == STANDARD_INPUT:
            assert standard_input is not None, "spooled by the caller"
            _refuse_twice(seen, path, path)
            sources.append(_standard_input(standard_input, reading))
            continue
        if _is_no_file(path):
            source = _find(path, 0, path, reading)
            _refuse_twice(seen, source.name, path)
            modified = file_status(source.path).modified
            sources.append(dataclasses.replace(source, modified=modified))
            continue
        path = path if is_uri(path) else os.path.abspath(path)
        status = file_status(path)
        searched |= status.is_directory
        for file in _files_in(path, glob, leave_out) if status.is_directory else [path]:
            status = file_status(file) if file is not path else status
            _refuse_twice(seen, status.identity, file)
            source = _find(file, status.num_bytes, names.name_of(file), reading)
            sources.append(dataclasses.replace(source, modified=status.modified))
    if glob is not None and not searched:
        raise OptionError(f"`glob` {glob!r} has no effect: no directory is given")
    _check_names(sources)
    _check_effects(sources, reading)
    if not any(source.length for source in sources):
        listed = ", ".join(sorted({source.path for source in sources})[:3])
        raise UserError(f"the text is empty: {len(sources)} files of 0 bytes, such as {listed}")
    return tuple(source for source in sources if source.length)


class _Names:
    """Paths -> names, relative to what the given paths have in common."""

    def __init__(self, given: Sequence[str]):
        local = [
            os.path.abspath(path)
            for path in given
            if not (is_uri(path) or path == STANDARD_INPUT or _is_no_file(path))
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
            name = os.path.relpath(file, self._base).replace(os.sep, "/")
            return as_utf8(name)
        return file if self._uri_base is None else posixpath.relpath(_rest(file), self._uri_base)


def _rest(uri: str) -> str:
    return uri.partition("://")[2]


def _is_no_file(path: str) -> bool:
    """Whether a format reads what is named so from somewhere else, such as `tfds:NAME:SPLIT`."""
    return any(kind.prefix and path.startswith(kind.prefix) for kind in FORMATS)


def _find(path: str, source_bytes: int, name: str, reading: Reading) -> Source:
    """The source at a path, of the first format that takes it."""
    if path[: len(path) - len(compression_of(path))].lower().endswith(_ARCHIVES):
        raise UserError(
            f"{path} is an archive: unpack it, or leave it out with `--glob`; textreel reads files "
            "of text, compressed or not, JSON Lines and Parquet"
        )
    found = (kind.find(path, source_bytes, name, reading) for kind in FORMATS)
    return next(source for source in found if source is not None)


def _standard_input(path: str, reading: Reading) -> Source:
    source_bytes = os.path.getsize(path)
    if source_bytes == 0:
        raise UserError("standard input is empty; nothing to prepare")
    limit = reading.max_row_bytes
    written: Format = PlainText(document=reading.document, max_row_bytes=limit)
    if reading.text_field is not None:
        written = JsonLines(text_field=reading.text_field, max_row_bytes=limit)
    return Source(path=path, name=STANDARD_INPUT, source_bytes=source_bytes, format=written)


def _refuse_twice(seen: dict[object, str], identity: object, file: str) -> None:
    if identity in seen:
        raise UserError(
            f"the same file twice: {seen[identity]} and {file}; its text would stand in the "
            "corpus, and perhaps in two splits of it, more than once; name it once"
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
    if reading.text_field is not None and all(source.format.is_plain_text for source in sources):
        raise OptionError(
            f"`text_field` {reading.text_field!r} has no effect: all sources are plain text, and "
            "only JSON Lines (.jsonl), Parquet and tfds: have fields"
        )
    if reading.document != FILE and not any(source.format.is_plain_text for source in sources):
        raise OptionError(
            f"`document` {reading.document!r} has no effect: no source is plain text, and in the "
            "others every row is a document"
        )


def check_unchanged(source: Source) -> None:
    """Refuses a source that is no longer as it was found.

    Raises:
        UserError: it has another size or time, or is gone.
    """
    if source.name == STANDARD_INPUT:
        return
    status = file_status(source.path)
    is_file = not status.is_directory
    if status.modified != source.modified or (is_file and status.num_bytes != source.source_bytes):
        raise UserError(
            f"{source.path} changed while it was being prepared; nothing was made of it: when it "
            "changes no more, prepare it again with `--overwrite`"
        )


def _files_in(
    directory: str, glob: str | None, leave_out: str | os.PathLike[str] | None
) -> list[str]:
    files = [
        file
        for file in files_below(directory, leave_out=leave_out)
        if glob is None or fnmatch.fnmatch(os.path.basename(file), glob)
    ]
    if not files:
        wanted = f"no file in it matches `glob` {glob!r}" if glob else "the directory is empty"
        raise UserError(f"{directory}: {wanted}; nothing to prepare")
    return files
