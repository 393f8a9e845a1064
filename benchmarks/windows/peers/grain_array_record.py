"""Grain at its best: array_record of windows, uncompressed, by index; the number of its worker
processes and of its threads is tried beforehand."""

import itertools
import json
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


CHOICES = [(0, 1), (0, 4), (0, 16), (1, 4), (2, 1), (2, 4)]  # processes, threads


def batches(path, batch_size, workers, threads):
    """Shuffled batches."""
    windows = grain.MapDataset.source(grain.sources.ArrayRecordDataSource(path)).shuffle(seed=0)
    windows = windows.map(Pairs()).batch(batch_size, drop_remainder=True).repeat()
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=16)
    made = windows.to_iter_dataset(options)
    if workers:
        made = made.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return iter(made)


def rate(path, batch_size, choice):
    """Batches a second, once the first ones are used up that were made in advance."""
    tried, counted = batches(path, batch_size, *choice), 0
    for _ in itertools.islice(tried, 40):
        pass
    started = time.perf_counter()
    while time.perf_counter() - started < 2:
        next(tried)
        counted += 1
    return counted / (time.perf_counter() - started)


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows that lie end to end."""
    size, path = seq_len + 1, f"{text}.{seq_len}.array_record"
    if not os.path.exists(path):
        tokens = np.fromfile(text, np.uint8)
        writer = ArrayRecordWriter(path, "group_size:1,uncompressed")
        for window in tokens[: len(tokens) // size * size].reshape(-1, size):
            writer.write(window.tobytes())
        writer.close()
    best = Path(f"{path}.best")
    if not best.exists():
        rates = {choice: rate(path, batch_size, choice) for choice in CHOICES}
        best.write_text(json.dumps(max(rates, key=rates.get)))
    return batches(path, batch_size, *json.loads(best.read_text()))


if __name__ == "__main__":
    report(make, GEOMETRIES[1:])
