"""Quality of the shuffle of records: what `shuffle_quality` measures, a file being a source."""

import numpy as np

from pipeline.auditing.shuffle_quality import Comparison, compare
from pipeline.reading.batches import RecordBatches
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_BYTES
from pipeline.reading.tfrecords.records import Records


def measure_records(
    records: Records,
    *,
    batch_size: int,
    seed: int = 0,
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_bytes: int = SPAN_BYTES,
) -> Comparison:
    """Measures the first epoch of records, or positions spread over it.

    The buffer is that of `tf.data.Dataset.shuffle` over the records in the order of the files, as
    many as fit `shuffle_bytes`. Records are taken to have the mean length.

    Raises:
        UserError: fewer records than a batch, or arguments that `Records.batches` refuses.
    """
    batches = RecordBatches(
        batch_size=batch_size, seed=seed, shuffle_bytes=shuffle_bytes, span_bytes=span_bytes
    )
    return compare(
        records.order(batches),
        batches,
        source_of=_FileOf(records),
        bytes_of=lambda starts, counts: int(counts.sum()) * records.record_bytes,
        buffer_windows=max(1, shuffle_bytes // records.record_bytes),
        of="records",
    )


class _FileOf:
    """Records -> files, of those that have records."""

    def __init__(self, records: Records):
        self._first_records = np.unique(records.index.first_records)
        self.num_sources = len(self._first_records) - 1

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._first_records, windows, side="right") - 1
