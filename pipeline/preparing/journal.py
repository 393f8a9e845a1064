"""Journal of an unfinished prepare: `OUTPUT/.prepare`, from the first file to the manifest.

    .prepare/lock          held by the process at work, with its name in it
    .prepare/plan.json     what is being made: options and sources
    .prepare/SHARD.json    one for each finished shard: what it holds, and its digest
    .prepare/*.incomplete  files that are being written

The same command goes on where it was: `shards.write_shard` returns what its journal entry says
if the shard's digest is still the one written there. Other options or sources are an error.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import digest, modification_time, read_json, whole_file
from pipeline.layout.records import Written
from pipeline.preparing.options import PrepareOptions
from pipeline.text.pieces import STANDARD_INPUT, Source

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


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the directory of an unfinished prepare; released when the process ends, however.

    Raises:
        UserError: another process holds it; it names that process.
    """
    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"{directory} is being prepared by {file.read() or 'another process'}; wait for "
                "it, or end it: the same command then goes on where it was"
            ) from None
        for leftover in folder.glob("*.incomplete"):
            if _own_suffix() not in leftover.name:
                leftover.unlink()
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def intent_of(options: PrepareOptions, sources: Sequence[Source]) -> dict[str, Any]:
    """Returns what is to be made, as far as it is known before the text is read, as JSON values."""
    return {
        "options": dataclasses.asdict(options),
        "sources": [[source.name, source.source_bytes, _state(source)] for source in sources],
    }


def begin(directory: Path, intent: dict[str, Any]) -> None:
    """Starts the journal of a prepare; forgets an earlier one."""
    folder = directory / FOLDER
    for file in folder.glob("*.json"):
        file.unlink()
    _write_json(folder / _PLAN, intent)


def has_plan(directory: Path) -> bool:
    """Whether a prepare was begun here, and not ended."""
    return (directory / FOLDER / _PLAN).exists()


def begun(directory: Path, intent: dict[str, Any]) -> bool:
    """Whether a prepare of the same intent was begun here, and not ended.

    Raises:
        UserError: a prepare of something else was (it says what differs), or another process
            is at work on it.
    """
    earlier = read_json(directory / FOLDER / _PLAN)
    if earlier is None:
        return False
    with locked(directory):
        pass
    difference = _difference(earlier, json.loads(json.dumps(intent)))
    if difference:
        raise UserError(
            f"`output` {directory} holds an unfinished corpus, begun otherwise: {difference}; "
            "nothing was changed: go on with the same options and sources, or start anew with "
            "`--overwrite`"
        )
    return True


def finished(path: str) -> WrittenShard | None:
    """What the journal says of the shard at `path`, if the file is still just that."""
    content = read_json(_entry(path))
    if content is None:
        return None
    try:
        written = WrittenShard(**{**content, "documents": tuple(content["documents"])})
        if os.path.getsize(path) == written.num_bytes and digest(path) == written.sha256:
            return written
    except (FileNotFoundError, KeyError, TypeError):
        pass
    return None


def temporary_path(path: str) -> str:
    """Where this thread writes the file that will be at `path`; no other does."""
    folder, name = os.path.split(path)
    os.makedirs(os.path.join(folder, FOLDER), exist_ok=True)
    return os.path.join(folder, FOLDER, f"{name}{_own_suffix()}{threading.get_ident()}.incomplete")


def record(path: str, written: WrittenShard) -> None:
    """Notes that the shard at `path` is finished."""
    _write_json(_entry(path), dataclasses.asdict(written))


def end(directory: Path) -> None:
    """Removes the journal: the manifest is there."""
    shutil.rmtree(directory / FOLDER)


def _write_json(path: Path, content: Any) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.incomplete")
    with whole_file(path, temporary=temporary) as file:
        file.write(json.dumps(content).encode())


def _own_suffix() -> str:
    """Stands in the names of this process's files, of whichever machine they are."""
    return f".{socket.gethostname()}-{os.getpid()}-"


def _state(source: Source) -> int | str:
    """What changes when the source does."""
    if source.name == STANDARD_INPUT:
        return digest(source.path)
    return modification_time(source.path)


def _entry(path: str) -> Path:
    folder, name = os.path.split(path)
    return Path(folder, FOLDER, f"{name}.json")


def _difference(begun: dict[str, Any], now: dict[str, Any]) -> str:
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
