"""Records as batches: the order of `order` as a `tf.data.Dataset`; a record is a window."""

import numpy as np
import tensorflow as tf

from pipeline.reading.batches import RecordBatches, declare
from pipeline.reading.graph.groups import Loaded, Rows, cut, gather_rows, join
from pipeline.reading.order import Order
from pipeline.reading.tfrecords.runs import RecordFiles, Runs, read_runs


def make_dataset(
    files: RecordFiles, order: Order, batches: RecordBatches, *, record_bytes: int
) -> tf.data.Dataset:
    """Returns the dataset of a host's records of every batch, from `start_step` on.

    Args:
        files: with the records.
        order: position -> record.
        batches: what is asked for.
        record_bytes: of a record, in the mean.

    Returns:
        `[rows]` strings.
    """
    first_records, num_records = files.first_records, order.num_windows
    twice = np.concatenate([first_records, first_records[1:] + num_records])

    def load(first: tf.Tensor, count: tf.Tensor) -> Loaded:
        file, first, count = cut(twice, *join(first, count, gap=0))
        runs = Runs(file % (len(first_records) - 1), first % num_records, count)
        return Loaded(first, tf.cumsum(count, exclusive=True), read_runs(files, runs))

    rows = gather_rows(
        order,
        Rows(batches),
        start_row=batches.start_step * batches.host_rows,
        row_bytes=record_bytes,
        load=load,
        gather=tf.gather,
    )
    all_batches = rows.rebatch(batches.host_rows, drop_remainder=True)
    return declare(all_batches, batches.num_left(order.num_windows))
