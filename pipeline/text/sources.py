"""Sources that paths name: which, in which order, under which names, in which formats.

A source's name is its path relative to what all given paths have in common: it stands in the
manifest, so that a corpus is the same wherever its sources lie.
"""

import dataclasses
import os
import posixpath
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence

from pipeline.errors import OptionError, UserError
from pipeline.files import (
    FileStatus,
    absolute_path,
    checked_path,
    file_status,
    file_statuses,
    is_uri,
    read_first,
)
from pipeline.terminal import as_utf8
from pipeline.text.directories import EMPTY, Choice, list_files
from pipeline.text.formats import FORMATS, PlainText
from pipeline.text.formats.binary import HEAD_BYTES, binary_format
from pipeline.text.formats.compressed import (
    compression_told,
    head_of,
    read_beginning,
    split_suffix,
)
from pipeline.text.pieces import FILE, Candidate, Reading, Source, Stream

_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tbz2", ".txz")
_READ_BYTES = 4096  # of a file, to see what it is: as fast as one byte
# Behind a URI, where each look costs a request, these names are believed.
_BELIEVED = (".txt", ".text", ".md", ".jsonl", ".ndjson", ".parquet")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """What paths name.

    Attributes:
        sources: those that have any text, in the order in which they will be read.
        left_out: why -> the paths of what is no source; folders end with a slash.
    """

    sources: tuple[Source, ...]
    left_out: dict[str, list[str]]


def find_sources(
    paths: Iterable[str | os.PathLike[str] | Stream],
    choice: Choice | None = None,
    reading: Reading | None = None,
    *,
    only: Container[str] | None = None,
) -> Found:
    """Finds the sources that `paths` name: as given, directories recursively and sorted.

    Args:
        paths: files, directories, URIs, `tfds:NAME:SPLIT` and streams that were kept. A file that
            is named itself is taken whatever its name.
        choice: which files of directories.
        reading: what a document is.
        only: names of sources that were found once; other files of directories are passed over.
            `None` takes all.

    Raises:
        UserError: nothing there, a file named twice, something that is not a file, a known
            binary format, rows without their field, or no text at all.
        OptionError: an option that has no effect on these sources; a path that is none.
    """
    given = [path if isinstance(path, Stream) else checked_path(path, "sources") for path in paths]
    if not given:
        raise UserError("no source given; name at least one file or directory of text")
    choice, reading = choice or Choice(), reading or Reading()
    names = _Names([path for path in given if not isinstance(path, Stream)])
    sources: list[Source] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    seen: dict[object, str] = {}
    searched = False
    for path in given:
        if isinstance(path, Stream):
            sources.append(_stream(path, reading))
            continue
        if _is_no_file(path):
            source = _find(Candidate(path=path, name=path), reading)
            _refuse_twice(seen, source.name, path)
            modified = file_status(source.path).modified
            sources.append(dataclasses.replace(source, modified=modified))
            continue
        path = absolute_path(path)
        status = file_status(path)
        files = [path]
        statuses = {path: status}
        if status.is_directory:
            searched = True
            listing = list_files(path, choice)
            for why, what in listing.left_out.items():
                left_out[why] += what
            files, statuses = listing.files, listing.statuses
        for file in files:
            name = names.name_of(file)
            if only is not None and name not in only and file is not path:
                continue
            status = statuses.get(file) or file_status(file)
            _refuse_twice(seen, status.identity, file)
            if status.num_bytes == 0:
                left_out[EMPTY].append(file)
                continue
            source = _find(candidate_of(file, name, status, reading), reading)
            if source.length == 0:
                left_out["without a row"].append(file)
                continue
            sources.append(source)
    _check_names(sources)
    if not sources:
        empty = [path for what in left_out.values() for path in what]
        why = "; ".join(f"{len(what)} {why}" for why, what in left_out.items())
        raise UserError(f"the text is empty: {why}, such as {', '.join(empty[:3])}")
    if only is None:
        _check_effects(sources, choice if not searched else Choice(), reading)
    return Found(sources=tuple(sources), left_out=dict(left_out))


class _Names:
    """Paths -> names, relative to what the given paths have in common."""

    def __init__(self, given: Sequence[str]):
        local = [os.path.abspath(path) for path in given if not (is_uri(path) or _is_no_file(path))]
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


def candidate_of(path: str, name: str, status: FileStatus, reading: Reading) -> Candidate:
    """What may be a source, after a look at its first bytes.

    Raises:
        UserError: it is not compressed as its name says, or cannot be read.
    """
    stem, expected = split_suffix(path)
    stem = stem.lower()
    known = (expected and not stem.endswith(".json")) or stem.endswith(_BELIEVED)
    if is_uri(path) and known:
        first, compression = b"", expected
    else:
        first = read_first(path, _READ_BYTES)
        compression = compression_told(first, expected)
    if expected and not compression:
        raise UserError(
            f"{path} is no {expected} file, whatever its name says: give it the name of what it "
            "is, make it again, or leave it out with `--glob`"
        )
    candidate = Candidate(
        path=path,
        name=name,
        source_bytes=status.num_bytes,
        modified=status.modified,
        stem=stem,
        compression=compression,
        head=head_of(first, compression, HEAD_BYTES),
        binary=binary_format(first[:HEAD_BYTES]),
    )
    if not compression or not first:
        return candidate
    if not candidate.head and (reading.text_field is not None or candidate.is_json):
        candidate = dataclasses.replace(candidate, head=read_beginning(candidate)[0][:HEAD_BYTES])
    return dataclasses.replace(candidate, binary=binary_format(candidate.head))


def _find(candidate: Candidate, reading: Reading) -> Source:
    """The source that a candidate is, of the first format that takes it.

    Raises:
        UserError: it is an archive, or of another known binary format.
    """
    path = candidate.path
    if candidate.stem.endswith(_ARCHIVES) and not reading.allow_binary:
        raise UserError(
            f"{path} is an archive: unpack it, or leave it out with `--glob`; textreel reads files "
            "of text, compressed or not, JSON Lines and Parquet"
        )
    if candidate.binary and not reading.token_bytes:
        if not reading.allow_binary:
            raise UserError(
                f"{path} is {candidate.binary}, by its first bytes, and no text: "
                "convert it, leave it out with `--glob`, or take it byte by byte with "
                "`--allow_binary`"
            )
        source = PlainText.find(candidate, reading)
        assert source is not None
        return source
    found = (kind.find(candidate, reading) for kind in FORMATS)
    return next(source for source in found if source is not None)


def _stream(stream: Stream, reading: Reading) -> Source:
    """The source that came as a stream; with `text_field`, JSON Lines unless it is told else.

    Raises:
        UserError: see `_find`; or nothing came.
    """
    status = file_status(stream.path)
    if status.num_bytes == 0:
        raise UserError(f"{stream.shown} is empty; nothing to prepare")
    try:
        candidate = candidate_of(stream.path, stream.name, status, reading)
        if reading.text_field is not None:
            candidate = dataclasses.replace(candidate, stem=".jsonl")
        source = _find(candidate, reading)
    except UserError as error:
        raise UserError(str(error).replace(stream.path, stream.shown)) from error
    return dataclasses.replace(source, stream=stream.shown, modified=0)


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


def _check_effects(sources: Sequence[Source], unused: Choice, reading: Reading) -> None:
    """Refuses options that change nothing, for they were meant to."""
    if unused.glob is not None:
        raise OptionError(f"`glob` {unused.glob!r} has no effect: no directory is given")
    if unused.hidden:
        raise OptionError("`hidden` has no effect: no directory is given")
    if reading.allow_binary and not any(
        isinstance(source.format, PlainText) and source.format.binary for source in sources
    ):
        raise OptionError("`allow_binary` has no effect: no source is of a known binary format")
    if reading.text_field is not None and all(source.format.is_plain_text for source in sources):
        raise OptionError(
            f"`text_field` {reading.text_field!r} has no effect: all sources are plain text, and "
            "only JSON Lines, JSON arrays, Parquet and tfds: have fields"
        )
    if reading.skip_bad_rows and all(source.format.is_plain_text for source in sources):
        raise OptionError(
            "`on_bad_row` skip has no effect: all sources are plain text, without rows"
        )
    if reading.document != FILE and not any(source.format.is_plain_text for source in sources):
        raise OptionError(
            f"`document` {reading.document!r} has no effect: no source is plain text, and in the "
            "others every row is a document"
        )


def check_unchanged(sources: Iterable[Source]) -> None:
    """Refuses sources that are no longer as they were found.

    Raises:
        UserError: one has another size or time, or is gone.
    """
    files = [source for source in sources if not source.stream]  # which only we have
    for source, status in zip(files, file_statuses([file.path for file in files]), strict=True):
        is_file = not status.is_directory
        if status.modified != source.modified or (
            is_file and status.num_bytes != source.source_bytes
        ):
            raise UserError(
                f"{source.path} changed while it was being prepared; nothing was made of it: when "
                "it changes no more, prepare it again with `--overwrite`"
            )
