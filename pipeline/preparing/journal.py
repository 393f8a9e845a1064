"""Journal of an unfinished prepare: `OUTPUT/.prepare`, from the first file to the manifest.

    .prepare/lock          held by the process at work, with its name in it
    .prepare/plan.json     what is being made: options, sources, the vocabulary's fingerprint
    .prepare/SHARD.json    one for each finished shard: what it holds, and its digest
    .prepare/*.incomplete  files that are being written
    .prepare/new/          the corpus that is to replace a whole one: see `replacement`

The same command goes on where it was: `shards.write_shard` returns what its journal entry says
if the shard's digest is still the one written there. Other options or sources are an error,
unless nothing is finished yet. The files are sealed: one that is damaged counts as missing.
"""

import contextlib
import dataclasses
import json
import os
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import (
    AnyPath,
    StoreError,
    digest,
    is_in_store,
    join,
    names_in,
    remove,
    remove_files,
    remove_tree,
    size_of,
    split_path,
    whole_file,
)
from pipeline.layout.manifest import FORMAT
from pipeline.layout.records import Written
from pipeline.layout.sealed import read_sealed, sealed
from pipeline.locks import held_folder
from pipeline.options import flag_text
from pipeline.preparing.options import PrepareOptions
from pipeline.sizes import count_text
from pipeline.text.bad_rows import BadRow, Skipped
from pipeline.text.pieces import Source

FOLDER = ".prepare"
_PLAN = "plan.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenShard(Written):
    """What was written to a shard.

    Attributes:
        num_text_bytes: bytes of text.
        documents: of each piece, the documents that end in it, empty ones included.
        skipped: the name of a source -> its bad rows; the same for splits that are written
            together.
    """

    num_text_bytes: int
    documents: tuple[int, ...]
    skipped: dict[str, Skipped] = dataclasses.field(default_factory=dict)


def locked(directory: AnyPath) -> contextlib.AbstractContextManager[None]:
    """Holds the directory of a corpus; released when the process ends, however.

    Where nothing was made meanwhile, it leaves nothing: neither the lock nor a new directory.
    In a store nothing is held: there `begin` decides, and all files are put once.

    Raises:
        UserError: another process holds it, which it names; or the file system has no locks.
    """
    if is_in_store(directory):
        return contextlib.nullcontext()
    return held_folder(Path(directory), FOLDER, doing="prepared")


def intent_of(options: PrepareOptions, sources: Sequence[Source]) -> dict[str, Any]:
    """Returns what is to be made, as far as it is known before the text is read, as JSON values."""
    intent = {
        "format": FORMAT,
        "options": dataclasses.asdict(options),
        "sources": [[source.name, source.source_bytes, _state(source)] for source in sources],
    }
    return dict(json.loads(json.dumps(intent)))


def begin(directory: AnyPath, intent: dict[str, Any], vocabulary: str) -> None:
    """Starts the journal of a prepare. In a store, of those that begin at once one does.

    Args:
        directory: of the corpus.
        intent: what is to be made.
        vocabulary: the fingerprint of the vocabulary, whose file is not there yet.

    Raises:
        UserError: in a store, another prepare has just begun there.
    """
    try:
        _write(_plan_of(directory), {**intent, "vocabulary": vocabulary}, once=True)
    except FileExistsError as error:
        raise UserError(
            f"`output` {directory}: another prepare, of other options or sources, has just begun "
            "there; nothing was changed: end it, or name another directory"
        ) from error


def is_same(directory: AnyPath, intent: dict[str, Any]) -> bool:
    """Whether just this was begun here, and did not end."""
    earlier = begun(directory)
    return earlier is not None and not _difference(earlier, intent)


def forget(directory: AnyPath) -> None:
    """Removes a journal, the plan first: without it, there is none."""
    remove(_plan_of(directory))
    remove_files(join(directory, FOLDER), _entries(directory))


def vocabulary_of(directory: AnyPath, intent: dict[str, Any]) -> str | None:
    """Returns the fingerprint of the vocabulary with which the same was begun here; else `None`.

    Raises:
        UserError: something else was begun, and some of it is finished; it says what differs.
    """
    earlier = begun(directory)
    if earlier is None:
        return None
    difference = _difference(earlier, intent)
    if not difference:
        return str(earlier["vocabulary"])
    entries = _entries(directory)
    if not entries and not is_in_store(directory):
        return None  # nothing that could be lost
    raise UserError(
        f"`output` {directory} holds an unfinished corpus, begun otherwise: {difference}; "
        f"{count_text(len(entries), 'shard')} finished, nothing changed: go on with the same "
        "options and sources, or start anew with `--overwrite`"
    )


def begun(directory: AnyPath) -> dict[str, Any] | None:
    """Returns the intent that a prepare began with here, and did not end; else `None`."""
    return _read(_plan_of(directory))


def finished(path: str) -> WrittenShard | None:
    """What the journal says of the shard at `path`, if the file is still just that.

    In a store its size tells: a file there is whole, and to read it all would cost as much as to
    write it. `verify` reads it.
    """
    content = _read(_entry(path))
    if content is None:
        return None
    try:
        skipped = {name: _skipped(**each) for name, each in content["skipped"].items()}
        documents = tuple(content["documents"])
        written = WrittenShard(**{**content, "documents": documents, "skipped": skipped})
        if size_of(path) == written.num_bytes and (
            is_in_store(path) or digest(path) == written.blake3
        ):
            return written
    except (AttributeError, FileNotFoundError, KeyError, TypeError):
        pass
    return None


def temporary_path(path: str) -> str:
    """Where this thread writes the file that will be at `path`; no other does."""
    folder, name = os.path.split(path)
    if not is_in_store(path):
        os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    own = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    return os.path.join(folder, FOLDER, f"{name}.{own}.incomplete")


def record(path: str, written: WrittenShard) -> None:
    """Notes that the shard at `path` is finished."""
    _write(_entry(path), dataclasses.asdict(written))


def end(directory: AnyPath) -> None:
    """Removes the journal: the manifest is there."""
    remove(_plan_of(directory))  # first: without it, nothing was begun
    remove_tree(join(directory, FOLDER))


def _plan_of(directory: AnyPath) -> str:
    return join(join(directory, FOLDER), _PLAN)


def _entries(directory: AnyPath) -> list[str]:
    names = names_in(join(directory, FOLDER))
    return [name for name in names if name.endswith(".json") and name != _PLAN]


def _write(path: str, content: dict[str, Any], *, once: bool = False) -> None:
    if not is_in_store(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with whole_file(path, temporary=f"{path}.{os.getpid()}.incomplete", once=once) as file:
        file.write(sealed(content).encode())


def _read(path: str) -> dict[str, Any] | None:
    try:
        return read_sealed(path)
    except StoreError:
        raise
    except (FileNotFoundError, NotADirectoryError, UserError):
        return None


def _state(source: Source) -> int | str:
    """What changes when the source does."""
    return digest(source.path) if source.stream else source.modified


def _skipped(num_rows: int, first: list[list[Any]]) -> Skipped:
    return Skipped(num_rows=num_rows, first=tuple(BadRow(*row) for row in first))


def _entry(path: str) -> str:
    folder, name = split_path(path)
    return join(join(folder, FOLDER), f"{name}.json")


def _difference(begun: dict[str, Any], now: dict[str, Any]) -> str:
    if begun.get("format") != now["format"]:
        return "a textreel of another version cuts text elsewhere"
    for option, value in now["options"].items():
        if (given := begun["options"].get(option)) != value:
            old, new = (flag_text(each) or "not given" for each in (given, value))
            return f"`{option}` was {old}, now {new}"
    before = {name: (size, time) for name, size, time in begun["sources"]}
    after = {name: (size, time) for name, size, time in now["sources"]}
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            return f"source {name} is missing now"
        if name not in before:
            return f"source {name} is new"
        if before[name] != after[name]:
            return f"source {name} has changed since"
    if list(before) != list(after):
        return "the sources come in another order"
    return ""
