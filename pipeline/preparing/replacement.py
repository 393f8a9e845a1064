"""Replacement of a whole corpus by another one, which was prepared beside it.

The new corpus is made in `OUTPUT/.prepare/new`, as any other. Once it is whole, the manifest of the
old one goes, then its files, then the new files come, their manifest last. A process that ends at
any moment leaves the old corpus whole, or the new one: the next prepare finishes what it began.
"""

import contextlib
import fnmatch
import os
from typing import Any

from pipeline.files import (
    AnyPath,
    exists,
    file_status,
    is_in_store,
    join,
    move,
    names_in,
    remove,
    remove_files,
    remove_tree,
    sync_directory,
)
from pipeline.layout.dataset_info import FEATURES_FILE, INFO_FILE
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import FILE_NAME
from pipeline.layout.names import ARRAY_RECORD, TFRECORD, array_record_path, shards_pattern
from pipeline.locks import LOCK
from pipeline.preparing import journal
from pipeline.text.pieces import Source
from pipeline.vocabulary.loading import VOCABULARY_FILES


def is_made(
    directory: AnyPath,
    intent: dict[str, Any],
    sources: tuple[Source, ...],
    formats: tuple[str, ...],
) -> bool:
    """Whether a directory, which is held, has just this corpus: by names, sizes and times.

    Stores do not say which of two objects is older, so there the answer is no.

    Args:
        directory: where it would be.
        intent: see `journal.intent_of`.
        sources: what it would be made of.
        formats: in which its records are.
    """
    path = join(directory, FILE_NAME)
    if any(is_in_store(each) for each in (directory, *(source.path for source in sources))):
        return False
    if not exists(path) or set(names_in(join(directory, journal.FOLDER))) - {LOCK}:
        return False  # something is under way, such as a repair
    manifest = load_manifest(directory)
    before = [(source.name, source.source_bytes) for source in manifest.sources]
    made = file_status(path).modified
    return (
        manifest.options == intent["options"]
        and manifest.file_formats == formats
        and before == [(source.name, source.source_bytes) for source in sources]
        and not any(source.stream or source.modified > made for source in sources)
        and all(
            _has_size(join(directory, shard.file), shard.disk_bytes) for shard in manifest.shards
        )
    )


def _has_size(path: str, num_bytes: int) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) == num_bytes


def stage_of(directory: AnyPath) -> str:
    """Returns where the corpus is made that is to replace the one in a directory."""
    return join(join(directory, journal.FOLDER), "new")


def is_under_way(directory: AnyPath) -> bool:
    """Whether the old corpus is gone, and the new one not yet in its place."""
    manifests = join(directory, FILE_NAME), join(stage_of(directory), FILE_NAME)
    return not exists(manifests[0]) and exists(manifests[1])


def discard(directory: AnyPath) -> None:
    """Removes what was made of a corpus, the manifest and the journal's plan first."""
    remove(join(directory, FILE_NAME))
    journal.forget(directory)
    remove_files(directory, files_of(directory))
    if is_in_store(directory):
        remove_tree(join(directory, journal.FOLDER))
    else:
        with contextlib.suppress(OSError):  # beside a corpus nothing is left; else it is locked
            os.rmdir(join(directory, journal.FOLDER))
            os.rmdir(directory)


def replace(directory: AnyPath) -> None:
    """Puts the corpus that was made beside a whole one in its place; goes on where one stopped."""
    stage = stage_of(directory)
    manifest = load_manifest(stage)
    shards = [shard.file for shard in manifest.shards]
    if ARRAY_RECORD in manifest.file_formats:
        shards += [array_record_path(file) for file in shards]
    names = {*shards, *manifest.files}
    remove(join(directory, FILE_NAME))
    sync_directory(directory)
    remove_files(directory, [name for name in files_of(directory) if name not in names])
    staged = set(names_in(stage))
    for name in names:
        if name in staged:
            move(join(stage, name), join(directory, name))
    sync_directory(directory)
    move(join(stage, FILE_NAME), join(directory, FILE_NAME))
    sync_directory(directory)
    journal.end(directory)


def files_of(directory: AnyPath) -> list[str]:
    """Lists the names in a directory that are a corpus's, but for its manifest."""
    beside = (*VOCABULARY_FILES, INFO_FILE, FEATURES_FILE)
    patterns = [shards_pattern(kind) for kind in (TFRECORD, ARRAY_RECORD)]
    return [
        name
        for name in names_in(directory)
        if name in beside or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    ]
