"""Parts of an index: what is known of each file until all are finished.

    INDEX/.index/lock          held by the process at work, with its name in it
    INDEX/.index/KEY.offsets   of a file that is finished: where its records begin
    INDEX/.index/KEY.json      what it was then, and the digest of these offsets; sealed

The key follows from the path. The same command goes on where it was: a part is kept as long as
its file has not changed and its digest is right.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files import (
    StoreError,
    absolute_path,
    digest,
    file_status,
    join,
    whole_file,
)
from pipeline.indexing.framing import FileToWalk, record_offsets
from pipeline.indexing.paths import FoundFile
from pipeline.layout.record_index import DTYPE, IndexedFile
from pipeline.layout.sealed import read_sealed, sealed

FOLDER = ".index"
_ROWS = 2**20  # of offsets, copied at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartTask:
    """A file whose part is to be made.

    Attributes:
        file: as it was found.
        part: where its part goes, a path without suffix.
        check: whether to compare the checksums of the contents.
    """

    file: FoundFile
    part: str
    check: bool


def make_tasks(directory: str, files: Sequence[FoundFile], check: bool) -> list[PartTask]:
    """Makes the task of each file of an index, to be made in a directory."""
    folder = join(absolute_path(directory), FOLDER)  # a worker may stand elsewhere
    keys = (blake3(os.fsencode(file.path)).hexdigest()[:32] for file in files)
    return [
        PartTask(file=file, part=join(folder, key), check=check)
        for file, key in zip(files, keys, strict=True)
    ]


def find_part(task: PartTask, advance: Callable[[int], None]) -> IndexedFile:
    """Finds where the records of a file begin, unless that is known.

    Raises:
        UserError: see `framing.record_offsets`; or the file changed meanwhile.
        OSError: a file cannot be read or written.
    """
    kept = _finished(task)
    if kept is not None:
        advance(task.file.num_bytes)
        return kept
    walked = FileToWalk(path=task.file.path, num_bytes=task.file.num_bytes, check=task.check)
    try:
        indexed = _write(task, record_offsets(walked, advance))
    finally:
        status = file_status(task.file.path)
        if (status.num_bytes, status.modified) != (task.file.num_bytes, task.file.modified):
            raise UserError(
                f"{task.file.path} changed while it was being indexed; index it again when it "
                "changes no more"
            )
    _record(task, indexed)
    return indexed


def keep_part(task: PartTask, offsets: np.ndarray) -> None:
    """Makes the part of a file from offsets that are known."""
    if _finished(task) is None:
        blocks = (offsets[row : row + _ROWS] for row in range(0, len(offsets), _ROWS))
        _record(task, _write(task, blocks))


def state_of(file: FoundFile | IndexedFile) -> tuple[str, int, int]:
    """What shows whether a file has changed."""
    return file.path, file.num_bytes, file.modified


def _write(task: PartTask, offsets: Iterable[np.ndarray]) -> IndexedFile:
    """Writes the offsets of a file; not synced, for their digest will be checked."""
    hasher, num_records = blake3(), 0
    with whole_file(
        f"{task.part}.offsets", temporary=f"{task.part}.{os.getpid()}.incomplete", synced=False
    ) as file:
        for found in offsets:
            data = found.astype(DTYPE, copy=False).tobytes()
            hasher.update(data)
            num_records += len(found)
            file.write(data)
    return IndexedFile(
        task.file.path, task.file.num_bytes, task.file.modified, num_records, hasher.hexdigest()
    )


def _record(task: PartTask, indexed: IndexedFile) -> None:
    """Notes that a file is finished."""
    content = {"checked": task.check, "file": list(indexed)}
    temporary = f"{task.part}.{os.getpid()}.incomplete"
    with whole_file(f"{task.part}.json", temporary=temporary, synced=False) as file:
        file.write(sealed(content).encode())


def _finished(task: PartTask) -> IndexedFile | None:
    """What is known of a file, if it and its offsets are still just that."""
    try:
        content = read_sealed(f"{task.part}.json")
        indexed = IndexedFile(*content["file"])
        if (
            content["checked"] >= task.check
            and state_of(indexed) == state_of(task.file)
            and digest(f"{task.part}.offsets") == indexed.blake3
        ):
            return indexed
    except StoreError:
        raise
    except (FileNotFoundError, UserError, KeyError, TypeError):
        pass
    return None
