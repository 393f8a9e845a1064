"""Looks at paths, here and in stores: what they are, and what is there."""

import concurrent.futures
import contextlib
import glob
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pipeline.errors import UserError
from pipeline.files import store
from pipeline.files.local import local_status
from pipeline.files.paths import is_in_store, join, local_path
from pipeline.files.status import FileStatus

_Result = TypeVar("_Result")
_REQUESTS = 32  # to a store, under way at once


def file_status(path: str) -> FileStatus:
    """Looks up a path.

    Raises:
        UserError: there is nothing, something that is neither a file nor a directory, or
            something that may not be read.
    """
    if not is_in_store(path):
        return local_status(local_path(path))
    found = store.status(path)
    if found is None:
        raise UserError(f"no such file or directory: {path}")
    return found


def file_statuses(paths: Sequence[str]) -> list[FileStatus]:
    """Looks up paths, many at once where they are in a store.

    Raises:
        UserError: see `file_status`.
    """
    return _at_once(file_status, paths)


def _at_once(function: Callable[[str], _Result], paths: Sequence[str]) -> list[_Result]:
    if not any(map(is_in_store, paths)):
        return list(map(function, paths))
    with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
        return list(pool.map(function, paths))


def size_of(path: str | os.PathLike[str]) -> int:
    """Returns the bytes of a file.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be looked up.
        UserError: the same, in a store.
    """
    path = os.fspath(path)
    if not is_in_store(path):
        return os.path.getsize(local_path(path))
    found = store.status(path)
    if found is None:
        raise FileNotFoundError(f"no such file: {path}")
    return found.num_bytes


def files_matching(pattern: str) -> list[str]:
    """Lists what a pattern matches, sorted; links, directories and all.

    Args:
        pattern: a path or URI with `*`, `?` and `[…]`, and `**` for any folders.
    """
    if is_in_store(pattern):
        return sorted(store.matching(pattern))
    return sorted(glob.glob(local_path(pattern), recursive=True))


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file or a directory."""
    path = os.fspath(path)
    if is_in_store(path):
        return store.status(path) is not None
    return os.path.exists(local_path(path))


def names_in(directory: str | os.PathLike[str]) -> list[str]:
    """Lists the names in a directory, sorted; none where there is no directory."""
    return sorted(entries(directory))


def entries(directory: str | os.PathLike[str]) -> dict[str, FileStatus | None]:
    """Lists a directory: names -> what they are, as far as the listing says it, else `None`.

    Only a store says it. Where there is no directory, there are no names.
    """
    directory = os.fspath(directory)
    if is_in_store(directory):
        return dict(store.entries(directory))
    try:
        return dict.fromkeys(os.listdir(local_path(directory)))
    except FileNotFoundError:
        return {}


def remove(path: str | os.PathLike[str]) -> None:
    """Removes a file, if it is there.

    Raises:
        OSError: it cannot be removed.
        UserError: the same, in a store.
    """
    path = os.fspath(path)
    if is_in_store(path):
        store.remove(path)
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(local_path(path))


def remove_files(directory: str | os.PathLike[str], names: Iterable[str]) -> None:
    """Removes files of a directory that are there, many at once where it is in a store.

    Raises:
        OSError: one cannot be removed.
        UserError: the same, in a store.
    """
    _at_once(remove, [join(directory, name) for name in names])


def remove_tree(directory: str | os.PathLike[str]) -> None:
    """Removes a directory and all in it.

    Raises:
        OSError: something cannot be removed.
        UserError: the same, in a store.
    """
    directory = os.fspath(directory)
    if is_in_store(directory):
        listed = store.entries(directory)
        for name, found in listed.items():
            if found.is_directory:
                remove_tree(join(directory, name))
        remove_files(directory, [name for name, each in listed.items() if not each.is_directory])
    elif os.path.exists(local_path(directory)):
        shutil.rmtree(local_path(directory))


def move(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Gives a file another name, over what is there.

    In a store it is copied, then removed: a process that ends in between leaves both.

    Raises:
        OSError: it cannot be moved.
        UserError: the same, in a store.
    """
    source, target = os.fspath(source), os.fspath(target)
    if is_in_store(source):
        store.copy(source, target)
        store.remove(source)
    else:
        os.replace(local_path(source), local_path(target))
