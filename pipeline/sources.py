"""Files and directories -> sources: what is read, in which order, under which name.

A source is one file of text, and one document. Its name is its path relative to what
all given paths have in common: it stands in the manifest, so that a corpus is the same
wherever its sources lie.
"""

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.errors import UserError

BLOCK_BYTES = 64 * 1024  # with larger ones the allocator keeps more than it saves


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input file.

    Attributes:
        path: where it lies on this machine.
        name: the same in every place; unique within a corpus.
        num_bytes: its size.
    """

    path: str
    name: str
    num_bytes: int


def find_sources(
    paths: Iterable[str | os.PathLike[str]], *, glob: str | None = None
) -> tuple[Source, ...]:
    """Lists the files that `paths` name: files as given, directories recursively and sorted.

    Args:
        paths: files and directories.
        glob: within directories, only files whose name matches; `None` takes all.

    Returns:
        The files that have any text, in the order in which they will be read.

    Raises:
        UserError: nothing there, a file named twice, something that is not a file, or no
            text at all.
    """
    paths = [os.fspath(path) for path in paths]
    if not paths:
        raise UserError("no source given; name at least one file or directory of text")
    absolute = [os.path.abspath(path) for path in paths]
    base = os.path.commonpath(
        [path if os.path.isdir(path) else os.path.dirname(path) for path in absolute]
    )
    sources: list[Source] = []
    seen: dict[str, str] = {}
    for path in absolute:
        for file in _files_in(path, glob) if os.path.isdir(path) else [path]:
            if not os.path.exists(file):
                raise UserError(f"no such file or directory: {file}")
            if not os.path.isfile(file):
                raise UserError(f"{file} is not a regular file; give a file or a directory")
            real = os.path.realpath(file)
            if real in seen:
                raise UserError(
                    f"the same file twice: {seen[real]} and {file}; its text would stand in the"
                    " corpus, and perhaps in two splits of it, more than once; name it once"
                )
            seen[real] = file
            name = os.path.relpath(file, base).replace(os.sep, "/")
            sources.append(Source(path=file, name=name, num_bytes=os.path.getsize(file)))
    if not any(source.num_bytes for source in sources):
        listed = ", ".join(sorted({source.path for source in sources})[:3])
        raise UserError(f"the text is empty: {len(sources)} files of 0 bytes, such as {listed}")
    return tuple(source for source in sources if source.num_bytes)


def read_blocks(path: str, start: int, stop: int) -> Iterator[bytes]:
    """Yields the bytes `start … stop - 1` of a file in blocks of at most `BLOCK_BYTES`.

    Raises:
        UserError: the file ends before `stop`.
    """
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while start < stop:
            block = file.read(min(BLOCK_BYTES, stop - start))
            if not block:
                raise UserError(
                    f"{path} ends at byte {start}, but had {stop} bytes when the work was"
                    " planned; it changed meanwhile: run the same command again"
                )
            start += len(block)
            yield block


def find_cut(source: Source, offset: int, search_bytes: int) -> int:
    """Returns where a document may be cut at `offset` or soon after, as a byte offset.

    Behind the first newline of the `search_bytes` that follow; where there is none, at the
    first UTF-8 boundary, which is at most 3 bytes away (in bytes that are not UTF-8 at all:
    at `offset` itself).
    """
    with open(source.path, "rb") as file:
        file.seek(offset)
        following = file.read(max(search_bytes, 4))
    newline = following.find(b"\n", 0, search_bytes)
    if newline >= 0:
        return offset + newline + 1
    for distance, byte in enumerate(following[:4]):
        if byte & 0xC0 != 0x80:  # not a continuation byte: a character starts here
            return offset + distance
    return offset


def _files_in(directory: str, glob: str | None) -> list[str]:
    def fail(error: OSError) -> None:
        raise error

    files = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(directory, onerror=fail)
        for name in names
        if glob is None or fnmatch.fnmatch(name, glob)
    ]
    if not files:
        wanted = f"no file in it matches `glob` {glob!r}" if glob else "the directory is empty"
        raise UserError(f"{directory}: {wanted}; nothing to prepare")
    return sorted(files, key=lambda file: os.path.relpath(file, directory).split(os.sep))
