"""Records of any TFRecord files, through an index of where they begin: see `tfrecords`."""

import itertools
import struct
from collections.abc import Iterator
from typing import NamedTuple

import google_crc32c
import numpy as np

from pipeline.errors import UserError
from pipeline.files import StoreError, join, read_range
from pipeline.layout.record_index import FILE_NAME, RecordIndex
from pipeline.layout.records import masked_crc
from pipeline.layout.sealed import is_unchanged
from pipeline.reading.arrays.groups import (
    Arrays,
    Loaded,
    batches_of,
    cut,
    gather_rows,
    join_spans,
    places_of,
    read_all,
)
from pipeline.reading.arrays.spans import READ_BYTES
from pipeline.reading.batches import RecordBatches
from pipeline.reading.damage import RECORD_DAMAGED, replaced_message
from pipeline.reading.order import Order

_HEADER_BYTES, _FOOTER_BYTES = 12, 4


class _Run(NamedTuple):
    """Consecutive records of one file: the first one's number among all, and how many."""

    file: int
    first_record: int
    num_records: int


class RecordReader:
    """Reads the files of an index that have records. It may be pickled.

    Args:
        index: of the files.
        read_ahead: reads under way at once.

    Raises:
        UserError: its offsets are damaged.
    """

    def __init__(self, index: RecordIndex, *, read_ahead: int):
        assert len(index.offsets) == len(index)  # refuses what is damaged
        self._index = index
        self._read_ahead = read_ahead
        self._files = [file for file in index.files if file.num_records]
        self._first_records = np.unique(index.first_records)

    def load(self, first_windows: np.ndarray, num_windows: np.ndarray) -> Loaded:
        """Reads spans, in any order; those that touch are read as one.

        Raises:
            UserError: a record is missing or damaged, and it names the file, the record and the
                byte where it begins; or the index was replaced, or the store cannot be read.
        """
        num_all, num_files = len(self._index), len(self._files)
        twice = np.concatenate([self._first_records, self._first_records[1:] + num_all])
        file, first, count = cut(twice, *join_spans(first_windows, num_windows, gap=0))
        places = places_of(count)
        content = np.empty(int(count.sum()), object)

        def read(part: tuple[_Run, int]) -> None:
            run, place = part
            content[place : place + run.num_records] = self._read(run)

        runs = zip(
            (file % num_files).tolist(),
            (first % num_all).tolist(),
            count.tolist(),
            places.tolist(),
            strict=True,
        )
        parts = (part for *run, place in runs for part in self._parts(_Run(*run), place))
        try:
            read_all(read, parts, read_ahead=self._read_ahead)
        except (OSError, UserError):
            self._check_same()  # first: by the offsets of another index, all looks damaged
            raise
        self._check_same()
        return Loaded(first, places, content)

    def _check_same(self) -> None:
        """Refuses an index that is no longer the one that was opened: see `RecordFiles`."""
        index = self._index
        assert index.digest is not None
        if not is_unchanged(join(index.directory, FILE_NAME), index.digest):
            raise UserError(replaced_message(index.directory))

    def _parts(self, run: _Run, place: int) -> Iterator[tuple[_Run, int]]:
        """Cuts a run to what one request reads, and says where each part begins in the content."""
        begins = self._extent(run)[:-1]
        starts = np.flatnonzero(np.diff((begins - begins[0]) // READ_BYTES, prepend=-1))
        counts = np.diff(starts, append=run.num_records)
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            yield _Run(run.file, run.first_record + start, count), place + start

    def _extent(self, run: _Run) -> np.ndarray:
        """Where the records of a run begin in its file, and the last one ends: `[records + 1]`."""
        after = run.first_record + run.num_records
        begins = self._index.offsets[run.first_record : after].astype(np.int64)
        is_last = after == self._first_records[run.file + 1]
        end = self._files[run.file].num_bytes if is_last else int(self._index.offsets[after])
        return np.append(begins, end)

    def _read(self, run: _Run) -> list[bytes]:
        """The contents of the records of a run."""
        extent, path = self._extent(run), self._files[run.file].path
        try:
            data = read_range(path, int(extent[0]), int(extent[-1]))
            return _contents(data, (extent - extent[0]).tolist())
        except StoreError:
            raise
        except (OSError, UserError) as error:
            if run.num_records > 1:  # which of them?
                for record in range(run.first_record, run.first_record + run.num_records):
                    self._read(_Run(run.file, record, 1))
            number = run.first_record - int(self._first_records[run.file])
            raise UserError(
                f"{path}: record {number}, from byte {extent[0]} on,{RECORD_DAMAGED} ({error})"
            ) from error


def _contents(data: bytes, bounds: list[int]) -> list[bytes]:
    """Takes records apart.

    Args:
        data: the records, as they stand in the file.
        bounds: where each begins, and the last one ends.

    Raises:
        UserError: one of them is not what the bounds or its checksums say.
    """
    contents = []
    for start, stop in itertools.pairwise(bounds):
        content = data[start + _HEADER_BYTES : stop - _FOOTER_BYTES]
        length = struct.pack("<Q", len(content))
        if data[start : start + _HEADER_BYTES] != length + _crc(length):
            raise UserError("it has another length")
        if data[stop - _FOOTER_BYTES : stop] != _crc(content):
            raise UserError("the checksum of its content is wrong")
        contents.append(content)
    return contents


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(google_crc32c.value(data)))


def make_batches(
    reader: RecordReader, order: Order, batches: RecordBatches, *, record_bytes: int
) -> Iterator[np.ndarray]:
    """Yields a host's records of every batch, from `start_step` on: `[rows]` objects, of bytes.

    Args:
        reader: of the files.
        order: position -> record.
        batches: what is asked for.
        record_bytes: of a record, in the mean.
    """
    num_left, count = batches.num_left(order.num_windows), batches.host_rows
    start_row = batches.start_step * count
    rows = gather_rows(
        order,
        batches,
        start_row=start_row,
        stop_row=None if num_left is None else start_row + num_left * count,
        row_bytes=record_bytes,
        load=reader.load,
        gather=_gather,
    )
    for (contents,) in batches_of(rows, count):
        yield contents


def _gather(content: np.ndarray, place: np.ndarray) -> Arrays:
    return (content[place],)
