"""Trace of a batch of records: step -> records -> files and bytes. Without TensorFlow."""

import dataclasses
from collections.abc import Sequence

from pipeline.auditing.trace import checked_rows
from pipeline.reading.batches import RecordBatches
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_BYTES
from pipeline.reading.tfrecords.records import Records


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedRecord:
    """One row of a batch.

    Attributes:
        row: index in the global batch.
        position: in the endless training order.
        epoch: which one, from 0.
        record: its number among all.
        file: the path or URI of the file that holds it.
        number: its number in the file.
        offset: the byte of the file where it begins.
    """

    row: int
    position: int
    epoch: int
    record: int
    file: str
    number: int
    offset: int


def trace_records(
    records: Records,
    *,
    step: int,
    batch_size: int,
    seed: int | None = 0,
    rows: Sequence[int] | None = None,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_bytes: int = SPAN_BYTES,
) -> list[TracedRecord]:
    """Returns the records of the batch of a step; the arguments are those of `Records.batches`.

    Reads no file but the index.

    Args:
        records: the records.
        step: the batch, from 0.
        batch_size: rows of the global batch.
        seed: of the shuffle; `None` for the order of the files.
        rows: which rows of the batch; `None` for all.
        shuffle_bytes: memory of the shuffle, in bytes.
        span_bytes: bytes that one seek reads.

    Raises:
        UserError: the index is damaged, or an argument is out of range.
    """
    batches = RecordBatches(
        batch_size=batch_size,
        seed=seed,
        start_step=step,
        shuffle_bytes=shuffle_bytes,
        span_bytes=span_bytes,
    )
    rows = checked_rows(batches, rows)
    order = records.order(batches)
    positions = [batches.start_step * batches.batch_size + row for row in rows]
    traced = []
    for row, position, record in zip(rows, positions, order.windows(positions), strict=True):
        file, number, offset = records.index.place(int(record))
        traced.append(
            TracedRecord(
                row=row,
                position=position,
                epoch=position // order.num_windows,
                record=int(record),
                file=file.path,
                number=number,
                offset=offset,
            )
        )
    return traced
