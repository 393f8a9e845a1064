"""The place of a corpus: whether it is free, and whether it is still ours at the end.

On a disk a lock keeps others away meanwhile. A store has none: there the first journal that is put
decides, files are put once, and at the end one looks whether the place was taken over.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import StoreError, entries, exists, is_in_store, join, names_in
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import FILE_NAME, Manifest
from pipeline.preparing import journal, replacement
from pipeline.text.streams import is_stream


def check_free(output: str, sources: list[str], *, is_shared: bool) -> bool:
    """Refuses an output that cannot be written, or that has other files; touches nothing.

    Returns:
        Whether it is in a store and has nothing: then there is no more to ask for.
    """
    if is_in_store(output):
        if is_shared and any(map(is_stream, sources)):
            raise UserError(
                "a stream, such as standard input, stays on this machine, where workers elsewhere "
                f"do not see it: put it into a file of a store, for `output` {output}"
            )
        names = names_in(output)
        _check_names(output, names)
        return not names
    directory = Path(output)
    if directory.is_symlink() and not directory.exists():
        raise UserError(
            f"`output` {directory} is a symbolic link to a directory that is not there; make that, "
            "or name another"
        )
    if directory.exists() and not directory.is_dir():
        raise UserError(f"`output` {directory} exists and is not a directory")
    parent = next(path for path in [directory, *directory.absolute().parents] if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(parent).f_flag & os.ST_RDONLY
        why = "a read-only file system holds" if is_read_only else "no permission in"
        raise UserError(f"`output` {directory} cannot be written: {why} {parent}; name another")
    if directory.is_dir():
        _check_names(output, os.listdir(directory))
    return False


def _check_names(directory: str, names: list[str]) -> None:
    if names and FILE_NAME not in names and journal.FOLDER not in names:
        raise UserError(
            f"`output` {directory} exists and is no corpus; textreel will not write among other "
            "files: name a new directory"
        )


@contextlib.contextmanager
def stream_paths(directory: str) -> Iterator[Callable[[str], str]]:
    """Where streams are kept: among the journal's files, or here for a corpus in a store."""
    if not is_in_store(directory):
        yield lambda name: journal.temporary_path(join(directory, name))
        return
    with tempfile.TemporaryDirectory(prefix="textreel-") as folder:

        def make_path(name: str) -> str:
            inner = os.path.join(folder, "streams")
            os.makedirs(inner, exist_ok=True)
            return os.path.join(inner, name)

        yield make_path


def target_of(directory: str, intent: dict[str, Any], overwrite: bool) -> str:
    """Where the corpus is made: in its directory, or beside a whole one that it replaces.

    Raises:
        UserError: there is a whole corpus, which is not to be replaced.
    """
    if not exists(join(directory, FILE_NAME)) or journal.is_same(directory, intent):
        return directory
    if not overwrite:
        held = "that is not whole, or not of these options and sources as they are now"
        if is_in_store(directory):
            held = "already, and a store does not say whether its sources have changed since"
        raise UserError(
            f"`output` {directory} holds a corpus {held}; nothing was changed: name a new "
            "directory, or replace it with `--overwrite`"
        )
    return replacement.stage_of(directory)


def check_remains(target: str) -> None:
    """Refuses a place in a store with files of a prepare that nothing is known of."""
    if is_in_store(target) and journal.begun(target) is None and names_in(target):
        raise UserError(
            f"`output` {target} holds what is left of an unfinished corpus, without its plan; "
            "nothing was changed: start anew with `--overwrite`"
        )


def check_still_free(target: str) -> None:
    """Refuses a place in a store where another prepare has begun and ended meanwhile."""
    if exists(join(target, FILE_NAME)):
        raise UserError(
            f"`output` {target} holds a corpus now, which another prepare has made meanwhile; "
            "nothing was changed: name a new directory, or replace it with `--overwrite`"
        )


def check_still_ours(target: str, intent: dict[str, Any], manifest: Manifest) -> None:
    """Refuses what another prepare has taken over meanwhile, in a store, which holds no lock."""
    if not journal.is_same(target, intent):
        try:
            ended = load_manifest(target)
        except StoreError:
            raise
        except UserError:
            ended = None
        if ended is None or ended.fingerprint != manifest.fingerprint:
            raise UserError(
                f"`output` {target}: another prepare has taken the place over; what it makes was "
                "left alone: name another directory"
            )
    listed = entries(target)
    for shard in manifest.shards:
        status = listed.get(shard.file)
        if status is None or status.num_bytes != shard.disk_bytes:
            raise UserError(
                f"{join(target, shard.file)} is gone, or is not what was written: does another "
                "program work there? Run the same command again"
            )
