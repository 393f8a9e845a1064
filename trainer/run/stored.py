"""Stored checkpoints: which a directory has, by their files alone, and which of them are whole.

A checkpoint is `ckpt-N.index` and its `ckpt-N.data-*`. What TensorFlow keeps beside them, the state
file `checkpoint`, is neither read nor written: it may be damaged, or another run's.
"""

import contextlib
import dataclasses
import glob
import hashlib
import math
import os
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from pipeline.errors import UserError, first_line
from pipeline.files import entries, fetch_file, is_in_store, join, names_in, read_bytes

UNFINISHED = "unfinished"  # in a directory of checkpoints: the one that is being written
_FILE = re.compile(r"ckpt-(0|[1-9]\d{0,17})\.(index|data-\d{5}-of-\d{5})")
_GLOB = frozenset("*?[]\\")
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # how TensorFlow names a variable's entry
# Path prefix in a store -> what its files were when they were fetched, and where they are now.
_copies: dict[str, tuple[dict[str, Any], tempfile.TemporaryDirectory[str]]] = {}
_ATTEMPTS = 10  # at reading a directory whose files come and go

# What TensorFlow raises for files that are damaged, cut off or gone.
READ_ERRORS = (
    tf.errors.OpError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
    """The newest whole checkpoint of a directory.

    Attributes:
        directory: where it is.
        step: its steps.
        lost: newer ones that are not whole: step -> why.
    """

    directory: str
    step: int
    lost: dict[int, str]

    @property
    def path(self) -> str:
        """Path prefix of its files."""
        return prefix(self.directory, self.step)

    def digest(self) -> str:
        """Returns the start of its index's SHA-256: that has the checksums of all values."""
        return hashlib.sha256(read_bytes(f"{self.path}.index")).hexdigest()[:16]

    def warnings(self) -> list[str]:
        """Says what is lost, a line each."""
        return [
            f"warning: {prefix(self.directory, step)} is damaged ({reason}); going on from the "
            f"newest whole one, of step {self.step}"
            for step, reason in self.lost.items()
        ]


def prefix(directory: str, step: int) -> str:
    """Returns the path prefix of a checkpoint's files."""
    return join(directory, f"ckpt-{step}")


def files_by_step(directory: str) -> dict[int, list[str]]:
    """Lists the files of a directory's checkpoints: step -> names.

    One whose saving was cut off just as its files got their names does not count.

    Raises:
        UserError: the directory cannot be read.
    """
    stored = _by_step(directory)
    for step in _by_step(join(directory, UNFINISHED)):
        if not has_index(stored.get(step, ["index"])):
            del stored[step]
    return stored


def has_index(names: list[str]) -> bool:
    """Whether one of a checkpoint's files is its index, which is written last."""
    return any(name.endswith("index") for name in names)


def newest_stored(directory: str) -> int | None:
    """Returns the step of a directory's newest checkpoint, which is not read; None without one."""
    stored = files_by_step(directory)
    return max((step for step, names in stored.items() if has_index(names)), default=None)


def find(directory: str) -> Found | None:
    """Finds the newest checkpoint that is whole: all of it is read once.

    Returns:
        None where there are no files of a checkpoint.

    Raises:
        UserError: there are such files, but no whole checkpoint.
    """
    for _ in range(_ATTEMPTS):
        stored = files_by_step(directory)
        lost: dict[int, str] = {}
        for step in sorted(stored, reverse=True):
            reason = _fault(directory, step, stored[step])
            if reason is None:
                return Found(directory=directory, step=step, lost=lost)
            lost[step] = reason
        # A run that trains writes and removes meanwhile.
        if files_by_step(directory) == stored:
            break
    if not lost:
        return None
    listed = "; ".join(f"ckpt-{step} ({reason})" for step, reason in lost.items())
    raise UserError(
        f"{directory} has checkpoints, but none that is whole: {listed}. Nothing was changed. "
        "Bring their files back from a copy; or, to begin without them, move what is there "
        "elsewhere, or train into another --output"
    )


@contextlib.contextmanager
def readable(path: str) -> Iterator[str]:
    """Gives a path prefix by which TensorFlow can read a checkpoint.

    One in a store is fetched, once for all who read it: see `forget_copies`. TensorFlow takes
    what it reads for a pattern, and does not find a path with brackets: a link to such a directory
    has a plain one.
    """
    if is_in_store(path):
        yield _copy(path)
        return
    if not _GLOB & set(path):
        yield path
        return
    directory, _, name = path.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="textreel-") as scratch:
        os.symlink(os.path.abspath(directory), join(scratch, "link"), target_is_directory=True)
        yield join(scratch, f"link/{name}")


def forget_copies() -> None:
    """Removes what was fetched of checkpoints in stores; the end of this process does it too."""
    while _copies:
        _copies.popitem()[1][1].cleanup()


def _copy(path: str) -> str:
    """Returns the path prefix of a checkpoint's files on this machine, of those that are there."""
    directory, _, name = path.rpartition("/")
    found = {file: status for file, status in entries(directory).items() if _is_of(name, file)}
    if path not in _copies or _copies[path][0] != found:
        scratch = tempfile.TemporaryDirectory(prefix="textreel-")
        for file, status in found.items():
            assert status is not None  # a store's listing says what its files are
            fetch_file(join(directory, file), join(scratch.name, file), num_bytes=status.num_bytes)
        _copies[path] = (found, scratch)
    return join(_copies[path][1].name, name)


def _is_of(name: str, file: str) -> bool:
    return file.startswith(f"{name}.") and _FILE.fullmatch(file) is not None


def read_values(path: str, *names: str) -> list[Any]:
    """Returns the values of variables in a checkpoint, without a model; None for one it lacks.

    Raises:
        UserError: it is damaged.
    """
    try:
        with readable(path) as plain:
            reader = tf.compat.v1.train.NewCheckpointReader(plain)
            has = reader.has_tensor
            return [
                reader.get_tensor(name + _VALUE) if has(name + _VALUE) else None for name in names
            ]
    except READ_ERRORS as error:
        raise UserError(f"{path} is damaged ({first_line(error)})") from error


def _by_step(directory: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for name in sorted(_names(directory)):
        if match := _FILE.fullmatch(name):
            found.setdefault(int(match[1]), []).append(name)
    return found


def _names(directory: str) -> list[str]:
    """What a directory has; nothing where there is none."""
    try:
        return names_in(directory)
    except NotADirectoryError:
        return []
    except OSError as error:
        raise UserError(f"{directory} cannot be read: {first_line(error)}") from error


def _fault(directory: str, step: int, names: list[str]) -> str | None:
    """Says why a checkpoint is not whole; None if it is."""
    if not has_index(names):
        return "its .index file is missing"
    try:
        with readable(prefix(directory, step)) as plain:
            num_bytes = sum(map(os.path.getsize, glob.glob(glob.escape(plain) + ".*")))
            reader = tf.compat.v1.train.NewCheckpointReader(plain)
            shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
            numbers = [name for name in shapes if types[name] != tf.string]
            if sum(types[name].size * math.prod(shapes[name]) for name in numbers) > num_bytes:
                return "its data is cut off"
            for name in shapes:
                value = reader.get_tensor(name)  # checks a checksum
                if name == "step" + _VALUE and value != step:
                    return f"it is of step {value}, under another's name"
    except READ_ERRORS as error:
        return first_line(error).replace(directory, "").lstrip("/")
    return None
