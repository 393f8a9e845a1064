"""Records as readers see them: TFRecord files of whomever, opened, and asked for batches."""

import functools
import os
from typing import TYPE_CHECKING

from pipeline.layout.record_index import RecordIndex, open_index
from pipeline.reading.arrays.batches import ArrayBatches
from pipeline.reading.batches import READ_AHEAD, RecordBatches
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_BYTES, make_record_order
from pipeline.reading.order import Order

if TYPE_CHECKING:
    import tensorflow as tf


class Records:
    """The records of TFRecord files that have an index. Use `open_records`.

    Attributes:
        index: where they begin.
    """

    def __init__(self, index: RecordIndex):
        self.index = index

    def __len__(self) -> int:
        """The records of all files."""
        return len(self.index)

    @property
    def record_bytes(self) -> int:
        """Bytes of a record in its file, in the mean, rounded up."""
        return -(-self.index.num_bytes // len(self.index))

    def batches(
        self,
        *,
        batch_size: int,
        seed: int | None = 0,
        start_step: int = 0,
        epochs: int | None = None,
        host_index: int = 0,
        host_count: int = 1,
        shuffle_bytes: int = SHUFFLE_BYTES,
        span_bytes: int = SPAN_BYTES,
        read_ahead: int = READ_AHEAD,
    ) -> "tf.data.Dataset":
        """The training batches of the records, endless or of some epochs.

        Epoch after epoch, every record comes exactly once in each. Batch `k` is a pure function
        of `k` and of the arguments up to `seed`, and the same for any number of hosts. No
        state: to go on after step `k`, pass `start_step=k`, which costs one seek.

        Args:
            batch_size: rows of the global batch.
            seed: of the shuffle; `None` for the order of the files.
            start_step: the first batch to yield.
            epochs: how often each record comes; `None`: without end.
            host_index: which of the hosts this is.
            host_count: hosts that share the batch; divides `batch_size`. Each reads about
                `1 / host_count` of the bytes.
            shuffle_bytes: memory that the shuffle may take, in bytes, for records of the mean
                length; 256 MiB by default. The order depends on it.
            span_bytes: bytes that one seek reads, in the mean, or one record; 32 KiB by default.
                The order depends on it.
            read_ahead: reads under way at once; more hide the latency of a remote store.

        Returns:
            A dataset of records, `[batch_size / host_count]` strings: what was written, such as
            serialized `tf.train.Example`s for `tf.io.parse_example`.

        Raises:
            UserError: an argument is out of its range, the index lies behind a URI, or a file
                in a store other than `gs://`, or the index is damaged.
        """
        from pipeline.reading.tfrecords.dataset import make_dataset
        from pipeline.reading.tfrecords.runs import RecordFiles

        batches = RecordBatches(
            batch_size=batch_size,
            seed=seed,
            start_step=start_step,
            epochs=epochs,
            host_index=host_index,
            host_count=host_count,
            shuffle_bytes=shuffle_bytes,
            span_bytes=span_bytes,
            read_ahead=read_ahead,
        )
        order = self.order(batches)
        files = RecordFiles(self.index, read_ahead=batches.read_ahead)
        return make_dataset(files, order, batches, record_bytes=self.record_bytes)

    def array_batches(
        self,
        *,
        batch_size: int,
        seed: int | None = 0,
        start_step: int = 0,
        epochs: int | None = None,
        host_index: int = 0,
        host_count: int = 1,
        shuffle_bytes: int = SHUFFLE_BYTES,
        span_bytes: int = SPAN_BYTES,
        read_ahead: int = READ_AHEAD,
    ) -> ArrayBatches:
        """The batches of `batches` as NumPy arrays, without TensorFlow.

        The arguments and what they mean, the batches and their order are those of `batches`. The
        index may lie behind a URI: its offsets, 8 bytes a record, are then in memory.

        Returns:
            An iterable as `ArrayBatches` says, with a `len` where `epochs` is given, of arrays
            `[batch_size / host_count]` of objects, which are bytes.

        Raises:
            UserError: an argument is out of its range, or the index is damaged; or, as it is read,
                that a record is.
        """
        from pipeline.reading.arrays.records import RecordReader, make_batches

        batches = RecordBatches(
            batch_size=batch_size,
            seed=seed,
            start_step=start_step,
            epochs=epochs,
            host_index=host_index,
            host_count=host_count,
            shuffle_bytes=shuffle_bytes,
            span_bytes=span_bytes,
            read_ahead=read_ahead,
        )
        order = self.order(batches)
        reader = RecordReader(self.index, read_ahead=batches.read_ahead)
        make = functools.partial(
            make_batches, reader, order, batches, record_bytes=self.record_bytes
        )
        return ArrayBatches(make, batches.num_left(order.num_windows))

    def order(self, batches: RecordBatches) -> Order:
        """The order in which the records are read.

        Raises:
            UserError: a shuffle that is too small for one span.
        """
        return make_record_order(
            len(self.index),
            self.index.num_bytes,
            seed=batches.seed,
            shuffle_bytes=batches.shuffle_bytes,
            span_bytes=batches.span_bytes,
        )


def open_records(directory: str | os.PathLike[str]) -> Records:
    """Opens an index that `textreel index` made, of files that have not changed since.

    Raises:
        UserError: there is none, it is damaged, or a file has changed or is gone.
    """
    return Records(open_index(directory))
