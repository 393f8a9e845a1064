"""Runs of records, by their numbers -> their contents: through an index, by seeks.

The offsets are never loaded: the graph maps `offsets.npy` and takes what it needs. A run of
consecutive records of a file is one seek and one read, with the checksums that TensorFlow compares.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from pipeline.errors import OptionError
from pipeline.files import is_in_store, is_uri, join
from pipeline.layout.record_index import (
    DTYPE,
    FILE_NAME,
    OFFSETS_NAME,
    RecordIndex,
    offsets_header,
)
from pipeline.reading.damage import RECORD_DAMAGED, assert_digest, first_unread, replaced_message

_HEADER_ITEMS = len(offsets_header(1)) // DTYPE.itemsize


class Runs(NamedTuple):
    """Runs of consecutive records, each in one file. All are `[runs]` int64.

    Attributes:
        file: index in `RecordFiles.first_records`.
        first_record: its number among all records.
        num_records: how many, at least one.
    """

    file: Any
    first_record: Any
    num_records: Any


class RecordFiles:
    """The files of an index that have records, as a graph needs them.

    Args:
        index: of the files.
        read_ahead: reads under way at once.

    Attributes:
        first_records: `[files + 1]` int64, ascending; the record that each file begins with, and
            the number of all.

    Raises:
        OptionError: the index lies behind a URI, where nothing can be mapped, or a file in a
            store that TensorFlow does not read.
        UserError: its offsets are damaged.
    """

    def __init__(self, index: RecordIndex, *, read_ahead: int):
        if is_uri(index.directory):
            raise OptionError(
                f"the index must lie in a file system of this machine, got {index.directory}: copy "
                "it here; its files may stay where they are"
            )
        assert len(index.offsets) == len(index)  # refuses what is damaged
        assert index.digest is not None
        files = [file for file in index.files if file.num_records]
        for file in files:
            if is_in_store(file.path) and not file.path.startswith("gs://"):
                raise OptionError(
                    "the records must lie in a file system of this machine, or in gs://, which "
                    f"TensorFlow reads itself, got {file.path}: copy the files here, and index "
                    "them here"
                )
        directory = os.path.abspath(index.directory)
        self.first_records = np.unique(index.first_records)
        self.read_ahead = read_ahead
        self._offsets = join(directory, OFFSETS_NAME)
        self._size = _HEADER_ITEMS + len(index)
        self._paths = np.array([file.path for file in files], object)
        self._num_bytes = np.array([file.num_bytes for file in files], np.int64)
        self._index, self._digest = join(directory, FILE_NAME), index.digest
        self._replaced = replaced_message(index.directory)

    def check_same(self) -> tf.Operation:
        """Asserts that the index is still the one that was opened.

        Whoever replaces an index removes `index.json` before the offsets: so those that were taken
        before this are of the index that was opened.
        """
        return assert_digest(self._index, self._digest, self._replaced)

    def path(self, file: Any) -> tf.Tensor:
        """The path of a file, a scalar string."""
        return tf.gather(tf.constant(self._paths, tf.string), file)

    def number(self, run: Runs) -> tf.Tensor:
        """The number of a run's first record in its file."""
        return run.first_record - tf.gather(tf.constant(self.first_records), run.file)

    def extent(self, run: Runs) -> tf.Tensor:
        """Where the records of a run begin in its file, and the last one ends: `[records + 1]`."""
        # int64: an offset above 2^63 was refused; maps the file anew, which takes microseconds.
        offsets = tf.raw_ops.ImmutableConst(
            dtype=tf.int64, shape=[self._size], memory_region_name=self._offsets
        )
        after = run.first_record + run.num_records
        begins = tf.gather(offsets, _HEADER_ITEMS + tf.range(run.first_record, after))
        ends_file = after == tf.gather(tf.constant(self.first_records), run.file + 1)
        num_bytes = tf.gather(tf.constant(self._num_bytes), run.file)
        # Of the last record of all, there is no next one to look up.
        following = tf.gather(offsets, tf.minimum(_HEADER_ITEMS + after, self._size - 1))
        return tf.concat([begins, tf.where(ends_file, num_bytes, following)[None]], 0)


def read_runs(files: RecordFiles, runs: Runs) -> tf.Tensor:
    """Reads runs, several at a time.

    Returns:
        The contents of the records, `[records]` strings, run after run.

    Raises:
        InvalidArgumentError: a record is missing or damaged; it names the file, the record and the
            byte where it begins. Or the index was replaced.
    """

    @functools.partial(tf.function, autograph=False)  # traced once, for the search of damage too
    def read(run: Runs) -> tf.Tensor:
        return _read_run(files, run)

    # What cannot be read is left out, which shows in the number of records: TensorFlow's own
    # errors do not name the file. An empty one at the end, so that there always is one.
    num_all = tf.reduce_sum(runs.num_records) + 1
    records = (
        tf.data.Dataset.from_tensor_slices(runs)
        .map(read, num_parallel_calls=files.read_ahead, deterministic=True)
        .ignore_errors()
        .concatenate(tf.data.Dataset.from_tensors(tf.constant([""])))
        .rebatch(num_all)
        .get_single_element()
    )
    whole = tf.size(records, out_type=tf.int64) == num_all
    with tf.control_dependencies([whole]):
        is_same = files.check_same()  # first: by the offsets of another index, all looks damaged
    with tf.control_dependencies([is_same]):
        message = tf.cond(whole, lambda: "", lambda: _find_damage(files, runs, read))
        is_whole = tf.debugging.Assert(whole, [message])
    with tf.control_dependencies([is_whole]):
        return records[:-1]


def _read_run(files: RecordFiles, run: Runs) -> tf.Tensor:
    extent = files.extent(run)
    # The public TFRecordDataset offers no `byte_offsets`. One read of just what is needed.
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=files.path(run.file)[None],
        compression_type="",
        buffer_size=extent[-1] - extent[0],
        byte_offsets=extent[:1],
    )
    records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    found = records.take(run.num_records).batch(run.num_records).get_single_element()
    lengths = tf.strings.length(found)
    expected = tf.cast(extent[1:] - extent[:-1], tf.int32) - 16
    same = tf.reduce_all(tf.equal(lengths, expected)) & (tf.size(lengths) == tf.size(expected))
    with tf.control_dependencies([tf.debugging.Assert(same, ["other records"])]):
        return tf.identity(found)


def _find_damage(files: RecordFiles, runs: Runs, read: Callable[[Runs], tf.Tensor]) -> tf.Tensor:
    """Names the first record that cannot be read, of the first run that cannot."""
    run = _first_bad(runs, read)
    record = run.first_record + tf.range(run.num_records)
    run = _first_bad(Runs(tf.fill(tf.shape(record), run.file), record, tf.ones_like(record)), read)
    parts = [
        files.path(run.file),
        ": record ",
        tf.strings.as_string(files.number(run)),
        ", from byte ",
        tf.strings.as_string(files.extent(run)[0]),
        " on,",
        RECORD_DAMAGED,
    ]
    return tf.strings.join(parts)


def _first_bad(runs: Runs, read: Callable[[Runs], tf.Tensor]) -> Runs:
    """The first run that cannot be read."""
    bad = first_unread((runs,), read)
    return Runs(*(values[bad] for values in runs))
