"""Index of the records in TFRecord files, whoever wrote these: where each record begins.

    INDEX/offsets.npy   [records] little-endian uint64: the byte of its file where a record begins
    INDEX/index.json    the files, in the order of their records; sealed (`layout.sealed`), and
                        written last: a directory with it is complete

A file in `index.json` is a row: path, bytes, time (nanoseconds), records, BLAKE3 of its offsets.
Files below the directory that INDEX lies in have paths relative to it, so that all of it may be
moved together; other paths are absolute, or URIs.
"""

import bisect
import functools
import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files import (
    exists,
    file_status,
    file_statuses,
    is_uri,
    join,
    open_file,
    read_bytes,
    sync_directory,
    whole_file,
)
from pipeline.layout.sealed import digest_of, read_sealed, sealed
from pipeline.sizes import count_text

FILE_NAME, OFFSETS_NAME = "index.json", "offsets.npy"
FORMAT = 2
DTYPE = np.dtype("<u8")
_MAX = 2**63 - 1


class IndexedFile(NamedTuple):
    """A TFRecord file.

    Attributes:
        path: absolute, without links among its folders; or a URI.
        num_bytes: its size.
        modified: when it last changed before it was indexed, in nanoseconds.
        num_records: its records, which may be none.
        blake3: of its part of `offsets.npy`, in hex.
    """

    path: str
    num_bytes: int
    modified: int
    num_records: int
    blake3: str


class Place(NamedTuple):
    """Where a record stands: its `file`, its number in there, and the byte it begins at."""

    file: IndexedFile
    number: int
    offset: int


class RecordIndex:
    """Where the records of some files begin; record 0 is the first one of the first file.

    Args:
        directory: of the index.
        files: in the order of their records.
        checked: whether the checksums of all contents were right.
        digest: of `index.json`, in hex; `None` where it is still to be saved.

    Attributes:
        first_records: `[files + 1]` int64; the record that each file begins with, and the number
            of all records.
    """

    def __init__(
        self,
        directory: str,
        files: Iterable[IndexedFile],
        *,
        checked: bool,
        digest: str | None = None,
    ):
        self.directory, self.files, self.checked = directory, tuple(files), checked
        self.digest = digest
        counts = [file.num_records for file in self.files]
        self.first_records = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def __getstate__(self) -> dict[str, Any]:
        """Without the offsets, which who unpickles it maps anew."""
        return {name: value for name, value in vars(self).items() if name != "offsets"}

    def __len__(self) -> int:
        """The records of all files."""
        return int(self.first_records[-1])

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(file.num_bytes for file in self.files)

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """Where each record begins in its file, `[records]` uint64; on the disk until it is used.

        Raises:
            UserError: `offsets.npy` is missing, damaged, or not that of `index.json`.
        """
        path = join(self.directory, OFFSETS_NAME)
        header = offsets_header(len(self))
        try:
            with open_file(path) as file:
                is_whole = file.read(len(header)) == header
                is_whole &= file.seek(0, os.SEEK_END) == len(header) + DTYPE.itemsize * len(self)
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing; {_AGAIN}") from error
        if not is_whole:
            raise UserError(
                f"{path} is damaged: it is no array of {len(self)} offsets, as {FILE_NAME} says; "
                f"{_AGAIN}"
            )
        if is_uri(path):
            return np.frombuffer(read_bytes(path), DTYPE, offset=len(header))
        return np.memmap(path, DTYPE, "r", offset=len(header), shape=(len(self),))

    def offsets_of(self, file_index: int) -> np.ndarray:
        """The part of `offsets` of a file."""
        return self.offsets[self.first_records[file_index] : self.first_records[file_index + 1]]

    def place(self, record: int) -> Place:
        """Where a record stands.

        Raises:
            IndexError: there is no such record.
            UserError: see `offsets`.
        """
        if not 0 <= record < len(self):
            raise IndexError(f"record {record} of {len(self)}")
        index = bisect.bisect_right(self.first_records, record) - 1
        number = record - int(self.first_records[index])
        return Place(self.files[index], number, int(self.offsets[record]))

    def save(self) -> None:
        """Makes the index complete, with one rename; `offsets.npy` is there."""
        rows = [[_stored(self.directory, file.path), *file[1:]] for file in self.files]
        content = {"format": FORMAT, "checked": self.checked, "files": rows}
        self.digest = digest_of(content)
        with whole_file(join(self.directory, FILE_NAME)) as file:
            file.write(sealed(content).encode())
            sync_directory(self.directory)  # first the name of the offsets
        sync_directory(self.directory)

    def check_files(self) -> None:
        """Refuses files that are no longer as they were indexed.

        Raises:
            UserError: some have another size or time, or are gone; it names one.
        """
        changes = [change for change in map(_change, self.files, self._statuses()) if change]
        if changes:
            raise UserError(
                f"{len(changes)} of the {len(self.files)} files of the index {self.directory} "
                f"are no longer what was indexed: {changes[0]}; {_AGAIN}"
            )

    def check_offsets(self) -> None:
        """Compares the digests of the offsets, for which all are read.

        Raises:
            UserError: those of a file are not what was found in it; or see `offsets`.
        """
        for index, file in enumerate(self.files):
            found = blake3(self.offsets_of(index).view(np.uint8).data)
            if found.hexdigest() != file.blake3:
                raise UserError(
                    f"{join(self.directory, OFFSETS_NAME)} is damaged: it does not have the "
                    f"digest of what was found in {file.path}; {_AGAIN}"
                )

    def _statuses(self) -> list[Any]:
        try:
            return list(file_statuses([file.path for file in self.files]))
        except UserError:  # which ones?
            return [_status(file.path) for file in self.files]


def offsets_header(num_records: int) -> bytes:
    """What stands before the offsets in `offsets.npy`: 128 bytes, version 1.0 of NumPy's format."""
    text = f"{{'descr': '{DTYPE.str}', 'fortran_order': False, 'shape': ({num_records},), }}"
    return b"\x93NUMPY\x01\x00v\x00" + text.ljust(117).encode() + b"\n"


def is_index(directory: str | os.PathLike[str]) -> bool:
    """Whether a directory has the file that an index has."""
    return exists(join(directory, FILE_NAME))


def open_index(directory: str | os.PathLike[str]) -> RecordIndex:
    """Opens the index of files that have not changed since.

    Raises:
        UserError: there is none, it is damaged, or a file has changed or is gone.
    """
    index = load_index(directory)
    index.check_files()
    return index


def load_index(directory: str | os.PathLike[str]) -> RecordIndex:
    """Reads an index, and checks all that it says; of its files it asks nothing.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = join(directory, FILE_NAME)
    try:
        content = read_sealed(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        if not exists(os.fspath(directory)):
            raise UserError(f"no such index: {directory}") from error
        raise UserError(
            f"{directory} is no index: it has no {FILE_NAME}. If `textreel index` was stopped "
            "before it ended, run the same command again: it goes on where it was"
        ) from error
    if content.get("format") != FORMAT:
        raise UserError(
            f"{path} is of format {content.get('format')!r}, and this textreel reads {FORMAT}; "
            f"{_AGAIN}"
        )
    try:
        files = [_file(os.fspath(directory), row) for row in content["files"]]
        if type(content["checked"]) is not bool or not sum(file.num_records for file in files):
            raise ValueError("`checked` is no truth value, or there is no record")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}; {_AGAIN}") from error
    return RecordIndex(
        os.fspath(directory), files, checked=content["checked"], digest=digest_of(content)
    )


_AGAIN = "index the files again: `textreel index FILES --output INDEX --overwrite`"


def _file(directory: str, row: Any) -> IndexedFile:
    path, num_bytes, modified, num_records, digest = row
    if not (
        type(path) is type(digest) is str
        and type(num_bytes) is type(modified) is type(num_records) is int
        and path
        and b"\0" not in os.fsencode(path)  # which is a ValueError for what no path can be
        and 0 <= num_records * 16 <= num_bytes <= _MAX
        and re.fullmatch("[0-9a-f]{64}", digest, re.ASCII)
    ):
        raise ValueError(f"{row!r} is no file")
    return IndexedFile(_resolved(directory, path), num_bytes, modified, num_records, digest)


def _stored(directory: str, path: str) -> str:
    """A path as `index.json` has it."""
    if is_uri(path) or is_uri(directory):
        return path
    base = _base(directory)
    return os.path.relpath(path, base) if os.path.commonpath([path, base]) == base else path


def _resolved(directory: str, path: str) -> str:
    if is_uri(path) or os.path.isabs(path):
        return path
    return join(_base(directory), path)


def _base(directory: str) -> str:
    """The directory that an index lies in."""
    if is_uri(directory):
        return directory.rstrip("/").rpartition("/")[0]
    return os.path.dirname(os.path.realpath(directory))


def _status(path: str) -> Any:
    try:
        return file_status(path)
    except UserError as error:
        return error


def _change(file: IndexedFile, status: Any) -> str | None:
    """What is different about a file now."""
    if isinstance(status, UserError):
        return str(status)
    if status.is_directory:
        return f"{file.path} is a directory"
    if status.num_bytes != file.num_bytes:
        before = count_text(file.num_bytes, "byte")
        return f"{file.path} had {before} then, and {status.num_bytes:,} now"
    if not _is_same_time(status.modified, file.modified):
        return f"{file.path} was written again since"
    return None


def _is_same_time(time: int, other: int) -> bool:
    """Whether two times are the same, where one of them may be known in whole seconds only."""
    if time % 10**9 and other % 10**9:
        return time == other
    return time // 10**9 == other // 10**9
