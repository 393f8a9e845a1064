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
import shutil
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import digest, whole_file
from pipeline.layout.manifest import FORMAT
from pipeline.layout.records import Written
from pipeline.layout.sealed import read_sealed, sealed
from pipeline.locks import held_folder
from pipeline.preparing.options import PrepareOptions
from pipeline.sizes import count_text
from pipeline.text.pieces import Source

FOLDER = ".prepare"
_PLAN = "plan.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenShard(Written):
    """What was written to a shard.

    Attributes:
        num_text_bytes: bytes of text.
        documents: of each piece, the documents that end in it, empty ones included.
    """

    num_text_bytes: int
    documents: tuple[int, ...]


def locked(directory: Path) -> contextlib.AbstractContextManager[None]:
    """Holds the directory of a corpus; released when the process ends, however.

    Where nothing was made meanwhile, it leaves nothing: neither the lock nor a new directory.

    Raises:
        UserError: another process holds it, which it names; or the file system has no locks.
    """
    return held_folder(directory, FOLDER, doing="prepared")


def intent_of(options: PrepareOptions, sources: Sequence[Source]) -> dict[str, Any]:
    """Returns what is to be made, as far as it is known before the text is read, as JSON values."""
    intent = {
        "format": FORMAT,
        "options": dataclasses.asdict(options),
        "sources": [[source.name, source.source_bytes, _state(source)] for source in sources],
    }
    return dict(json.loads(json.dumps(intent)))


def begin(directory: Path, intent: dict[str, Any], vocabulary: str) -> None:
    """Starts the journal of a prepare.

    Args:
        directory: of the corpus.
        intent: what is to be made.
        vocabulary: the fingerprint of the vocabulary, whose file is not there yet.
    """
    _write(directory / FOLDER / _PLAN, {**intent, "vocabulary": vocabulary})


def is_same(directory: Path, intent: dict[str, Any]) -> bool:
    """Whether just this was begun here, and did not end."""
    earlier = begun(directory)
    return earlier is not None and not _difference(earlier, intent)


def forget(directory: Path) -> None:
    """Removes a journal, the plan first: without it, there is none."""
    folder = directory / FOLDER
    (folder / _PLAN).unlink(missing_ok=True)
    for file in folder.glob("*.json"):
        file.unlink()


def vocabulary_of(directory: Path, intent: dict[str, Any]) -> str | None:
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
    entries = [file for file in (directory / FOLDER).glob("*.json") if file.name != _PLAN]
    if not entries:
        return None  # nothing that could be lost
    raise UserError(
        f"`output` {directory} holds an unfinished corpus, begun otherwise: {difference}; "
        f"{count_text(len(entries), 'shard')} finished, nothing changed: go on with the same "
        "options and sources, or start anew with `--overwrite`"
    )


def begun(directory: Path) -> dict[str, Any] | None:
    """Returns the intent that a prepare began with here, and did not end; else `None`."""
    return _read(directory / FOLDER / _PLAN)


def finished(path: str) -> WrittenShard | None:
    """What the journal says of the shard at `path`, if the file is still just that."""
    content = _read(_entry(path))
    if content is None:
        return None
    try:
        written = WrittenShard(**{**content, "documents": tuple(content["documents"])})
        if os.path.getsize(path) == written.num_bytes and digest(path) == written.blake3:
            return written
    except (FileNotFoundError, KeyError, TypeError):
        pass
    return None


def temporary_path(path: str) -> str:
    """Where this thread writes the file that will be at `path`; no other does."""
    folder, name = os.path.split(path)
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    own = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
    return os.path.join(folder, FOLDER, f"{name}.{own}.incomplete")


def record(path: str, written: WrittenShard) -> None:
    """Notes that the shard at `path` is finished."""
    _write(_entry(path), dataclasses.asdict(written))


def end(directory: Path) -> None:
    """Removes the journal: the manifest is there."""
    (directory / FOLDER / _PLAN).unlink(missing_ok=True)  # first: without it, nothing was begun
    shutil.rmtree(directory / FOLDER)


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.incomplete")
    with whole_file(path, temporary=temporary) as file:
        file.write(sealed(content).encode())


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return read_sealed(path)
    except (FileNotFoundError, NotADirectoryError, UserError):
        return None


def _state(source: Source) -> int | str:
    """What changes when the source does."""
    return digest(source.path) if source.stream else source.modified


def _entry(path: str) -> Path:
    folder, name = os.path.split(path)
    return Path(folder, FOLDER, f"{name}.json")


def _difference(begun: dict[str, Any], now: dict[str, Any]) -> str:
    if begun.get("format") != now["format"]:
        return "a textreel of another version cuts text elsewhere"
    for option, value in now["options"].items():
        if begun["options"].get(option) != value:
            return f"`{option}` was {begun['options'].get(option)}, now {value}"
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
