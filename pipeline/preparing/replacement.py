"""Replacement of a whole corpus by another one, which was prepared beside it.

The new corpus is made in `OUTPUT/.prepare/new`, as any other. Once it is whole, the manifest of the
old one goes, then its files, then the new files come, their manifest last. A process that ends at
any moment leaves the old corpus whole, or the new one: the next prepare finishes what it began.
"""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

from pipeline.files import sync_directory
from pipeline.layout.dataset_info import FEATURES_FILE, INFO_FILE
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import FILE_NAME
from pipeline.layout.names import ARRAY_RECORD, TFRECORD, array_record_path, shards_pattern
from pipeline.preparing import journal
from pipeline.preparing.options import PrepareOptions
from pipeline.text.pieces import Source
from pipeline.vocabulary.loading import VOCABULARY_FILES


def is_made(
    directory: Path,
    options: PrepareOptions,
    sources: tuple[Source, ...],
    formats: tuple[str, ...],
) -> bool:
    """Whether a directory holds just this corpus, by names, sizes and, as `make` does, times."""
    path = directory / FILE_NAME
    if not path.exists() or journal.begun(directory) is not None:
        return False
    manifest = load_manifest(directory)
    before = [(source.name, source.source_bytes) for source in manifest.sources]
    made = path.stat().st_mtime_ns
    return (
        manifest.options == json.loads(json.dumps(dataclasses.asdict(options)))
        and manifest.file_formats == formats
        and before == [(source.name, source.source_bytes) for source in sources]
        and not any(source.stream or source.modified > made for source in sources)
        and all(
            _has_size(directory / shard.file, shard.disk_bytes)
            for split in manifest.splits.values()
            for shard in split.shards
        )
    )


def _has_size(path: Path, num_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == num_bytes


def stage_of(directory: Path) -> Path:
    """Returns where the corpus is made that is to replace the one in a directory."""
    return directory / journal.FOLDER / "new"


def is_under_way(directory: Path) -> bool:
    """Whether the old corpus is gone, and the new one not yet in its place."""
    return not (directory / FILE_NAME).exists() and (stage_of(directory) / FILE_NAME).exists()


def discard(directory: Path) -> None:
    """Removes what was made of a corpus, the manifest and the journal's plan first."""
    (directory / FILE_NAME).unlink(missing_ok=True)
    journal.forget(directory)
    for file in files_of(directory):
        file.unlink()
    with contextlib.suppress(OSError):  # beside a corpus nothing is left; else it is locked
        (directory / journal.FOLDER).rmdir()
        directory.rmdir()


def replace(directory: Path) -> None:
    """Puts the corpus that was made beside a whole one in its place; goes on where one stopped."""
    stage = stage_of(directory)
    manifest = load_manifest(stage)
    shards = [shard.file for shard in manifest.shards]
    if ARRAY_RECORD in manifest.file_formats:
        shards += [array_record_path(file) for file in shards]
    names = {*shards, *manifest.files}
    (directory / FILE_NAME).unlink(missing_ok=True)
    sync_directory(directory)
    for file in files_of(directory):
        if file.name not in names:
            file.unlink()
    for name in names:
        if (stage / name).exists():
            os.replace(stage / name, directory / name)
    sync_directory(directory)
    os.replace(stage / FILE_NAME, directory / FILE_NAME)
    sync_directory(directory)
    journal.end(directory)


def files_of(directory: Path) -> list[Path]:
    """Lists the files in a directory that are a corpus's, but for its manifest."""
    beside = [directory / name for name in (*VOCABULARY_FILES, INFO_FILE, FEATURES_FILE)]
    shards = [
        file for kind in (TFRECORD, ARRAY_RECORD) for file in directory.glob(shards_pattern(kind))
    ]
    return [file for file in (*shards, *beside) if file.exists()]
