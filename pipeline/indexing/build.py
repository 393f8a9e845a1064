"""Building of an index: the parts of all files, in parallel; then the whole."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import (
    StoreError,
    checked_output,
    exists,
    is_in_store,
    join,
    names_in,
    read_blocks,
    remove,
    remove_tree,
    whole_file,
)
from pipeline.indexing.parts import FOLDER, PartTask, find_part, keep_part, make_tasks, state_of
from pipeline.indexing.paths import find_files
from pipeline.layout.record_index import (
    DTYPE,
    FILE_NAME,
    OFFSETS_NAME,
    RecordIndex,
    load_index,
    offsets_header,
)
from pipeline.locks import held_folder
from pipeline.preparing.engines.local import checked_workers, run
from pipeline.progress import progress_bar
from pipeline.sizes import count_text


def index_records(
    patterns: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    check: bool = False,
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> RecordIndex:
    """Indexes TFRecord files: finds where each of their records begins.

    An index that was stopped goes on where it was when it is called again. One that is there
    already, of just these files, is returned as it is.

    Args:
        patterns: files, or patterns that match files; also URIs. The records are numbered in
            this order, the files of a pattern sorted.
        output: the directory to make.
        check: also compares the checksum of every record's content, for which all is read.
        workers: processes; `None` takes one a core.
        overwrite: replaces an index of other files; what has not changed is not read again.
        progress: shows a progress bar.

    Raises:
        UserError: files that are no TFRecord files, damaged, cut off, compressed, or named twice;
            an output directory that cannot work, or that another process is at work on.
        OSError: a file cannot be read or written.
    """
    workers = checked_workers(workers)
    files = find_files(patterns)
    directory = _checked_directory(output)
    with _held(directory):
        index = _earlier(directory, overwrite)
        tasks = make_tasks(directory, files, check)
        difference = "" if index is None else _difference(index, tasks)
        if difference and not overwrite:
            raise UserError(
                f"`output` {directory} holds another index: {difference}; nothing was changed: "
                "name a new directory, or replace it with `--overwrite`"
            )
        if index is None or difference:
            if index is not None:
                _keep(index, tasks)
            index = _build(directory, tasks, workers, progress)
        remove_tree(join(directory, FOLDER))
        return index


def _held(directory: str) -> contextlib.AbstractContextManager[None]:
    """Holds the directory; in a store nothing is: whoever indexes the same writes the same."""
    if is_in_store(directory):
        return contextlib.nullcontext()
    return held_folder(Path(directory), FOLDER, doing="indexed")


def _build(directory: str, tasks: list[PartTask], workers: int, progress: bool) -> RecordIndex:
    by_size = sorted(tasks, key=lambda task: -task.file.num_bytes)  # the largest is not the last
    with progress_bar("indexing", sum(task.file.num_bytes for task in tasks), progress) as bar:
        results = run(find_part, by_size, workers=workers, advance=bar.update)
    found = {file.path: file for file in results}
    index = RecordIndex(
        directory,
        [found[task.file.path] for task in tasks],
        checked=all(task.check for task in tasks),
    )
    if len(index) == 0:
        raise UserError(
            f"no record in {count_text(len(tasks), 'file')}, such as {tasks[0].file.path}; nothing "
            "to index"
        )
    remove(join(directory, FILE_NAME))  # what it says ends here
    with whole_file(join(directory, OFFSETS_NAME)) as file:
        file.write(offsets_header(len(index)))
        for task, indexed in zip(tasks, index.files, strict=True):
            for block in read_blocks(
                f"{task.part}.offsets", 0, indexed.num_records * DTYPE.itemsize
            ):
                file.write(block)
    index.save()
    return index


def _checked_directory(output: str | os.PathLike[str]) -> str:
    """Refuses an output that cannot be written, or that has other files; touches nothing."""
    directory = checked_output(output, "output")
    if os.path.exists(directory) and not os.path.isdir(directory):
        raise UserError(f"`output` {directory} exists and is not a directory")
    names = names_in(directory)
    if names and FILE_NAME not in names and FOLDER not in names:
        raise UserError(
            f"`output` {directory} exists and is no index; textreel will not write among other "
            "files: name a new directory"
        )
    return directory


def _earlier(directory: str, overwrite: bool) -> RecordIndex | None:
    """The whole index that is there; where it is to be replaced, a damaged one is none."""
    if not exists(join(directory, FILE_NAME)):
        return None
    try:
        index = load_index(directory)
        index.check_offsets()
    except StoreError:
        raise
    except UserError:
        if overwrite:
            return None
        raise
    return index


def _difference(index: RecordIndex, tasks: list[PartTask]) -> str:
    """How an index differs from what the tasks would make."""
    before = {file.path: state_of(file) for file in index.files}
    now = {task.file.path: state_of(task.file) for task in tasks}
    for path in [*now, *before]:
        if path not in before:
            return f"{path} is new"
        if path not in now:
            return f"{path} is not named now"
        if before[path] != now[path]:
            return f"{path} has changed since"
    if list(before) != list(now):
        return "the files come in another order"
    if not index.checked and any(task.check for task in tasks):
        return "it was made without `--check`"
    return ""


def _keep(index: RecordIndex, tasks: list[PartTask]) -> None:
    """Takes from an index what it says of files that have not changed."""
    numbers = {state_of(file): number for number, file in enumerate(index.files)}
    for task in tasks:
        number = numbers.get(state_of(task.file))
        if number is not None and index.checked >= task.check:
            keep_part(task, index.offsets_of(number))
