"""Paths of TFRecord files, as a user names them: files, and patterns that match files."""

import dataclasses
import os
from collections.abc import Iterable

from pipeline.errors import UserError
from pipeline.files import (
    absolute_path,
    checked_path,
    exists,
    file_statuses,
    files_matching,
    is_uri,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file as it is.

    Attributes:
        path: absolute, without links among its folders; or a URI.
        num_bytes: its size.
        modified: when it last changed, in nanoseconds.
    """

    path: str
    num_bytes: int
    modified: int


def find_files(patterns: Iterable[str | os.PathLike[str]]) -> tuple[FoundFile, ...]:
    """Lists the files that paths and patterns name: as given, those of a pattern sorted.

    Args:
        patterns: paths or URIs; `*`, `?`, `[…]` and (of paths) `**` match as in a shell, unless
            there is a file of just that name.

    Raises:
        UserError: a pattern that matches nothing, a path with nothing there, a directory, or a
            file that is named twice.
        OptionError: a pattern that is neither a path nor a URI.
    """
    given = [checked_path(pattern, "patterns") for pattern in patterns]
    if not given:
        raise UserError("no file given; name at least one TFRecord file, or a pattern in quotes")
    paths = [_without_links(path) for pattern in given for path in _matches(pattern)]
    found = []
    seen: dict[object, str] = {}
    for path, status in zip(paths, file_statuses(paths), strict=True):
        if status.is_directory:
            wanted = path.rstrip("/") + "/*.tfrecord*"
            raise UserError(f"{path} is a directory; name the files in it, such as '{wanted}'")
        if status.identity in seen:
            raise UserError(
                f"the same file twice: {seen[status.identity]} and {path}; its records would be "
                "read more often than the others: name it once"
            )
        seen[status.identity] = path
        found.append(FoundFile(path=path, num_bytes=status.num_bytes, modified=status.modified))
    return tuple(found)


def _matches(pattern: str) -> list[str]:
    path = absolute_path(pattern)
    if not any(character in path for character in "*?[") or exists(path):
        return [path]
    matches = files_matching(path)
    if not matches:
        raise UserError(f"no file matches {pattern!r}; nothing to index")
    return matches


def _without_links(path: str) -> str:
    """A path of its own for each place; a link to a file is a place, too."""
    if is_uri(path):
        return path
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
