"""Grain at its best: array_record of windows, read by threads, batched in the best of 0, 1 and 2
worker processes, which is tried beforehand."""

import itertools
import os
import time
from pathlib import Path

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from timing import GEOMETRIES, report, text


class Pairs(grain.transforms.Map):
    """The bytes of a record -> inputs and targets."""

    def map(self, record):
        """A pair."""
        window = np.frombuffer(record, np.uint8).astype(np.int32)
        return window[:-1], window[1:]


def batches(path, batch_size, workers):
    """Shuffled batches."""
    windows = grain.MapDataset.source(grain.sources.ArrayRecordDataSource(path)).shuffle(seed=0)
    windows = windows.map(Pairs()).batch(batch_size, drop_remainder=True).repeat()
    options = grain.ReadOptions(num_threads=16, prefetch_buffer_size=64)
    made = windows.to_iter_dataset(options)
    if workers:
        made = made.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return iter(made)


def rate(path, batch_size, workers):
    """Batches a second."""
    tried = batches(path, batch_size, workers)
    next(tried)
    started = time.perf_counter()
    for _ in itertools.islice(tried, 40):
        pass
    return 40 / (time.perf_counter() - started)


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows that lie end to end."""
    size, path = seq_len + 1, f"{text}.{seq_len}.array_record"
    if not os.path.exists(path):
        tokens = np.fromfile(text, np.uint8)
        writer = ArrayRecordWriter(path, "group_size:1")
        for window in tokens[: len(tokens) // size * size].reshape(-1, size):
            writer.write(window.tobytes())
        writer.close()
    tried = Path(f"{path}.workers")
    if not tried.exists():
        tried.write_text(str(max(range(3), key=lambda workers: rate(path, batch_size, workers))))
    return batches(path, batch_size, int(tried.read_text()))


if __name__ == "__main__":
    report(make, GEOMETRIES[1:])
