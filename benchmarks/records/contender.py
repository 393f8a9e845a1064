"""One contender: reads shuffled batches for some seconds, then resumes in mid-epoch.

contender.py FOLDER SHUFFLE_BYTES BATCH_SIZE SECONDS textreel|tfdata|unshuffled [HOSTS]
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipeline import open_records

folder, kind = Path(sys.argv[1]), sys.argv[5]
shuffle_bytes, batch_size = int(sys.argv[2]), int(sys.argv[3])
seconds = float(sys.argv[4])
host_count = int(sys.argv[6]) if len(sys.argv) > 6 else 1
records = open_records(folder / "index")  # the buffer's size is by the mean record, too
_SAMPLED = 400  # batches of which the files are looked at


def batches(start_step: int) -> tf.data.Dataset:
    """The batches from a step on."""
    if kind == "textreel":
        return records.batches(
            batch_size=batch_size * host_count,
            host_count=host_count,
            start_step=start_step,
            shuffle_bytes=shuffle_bytes,
        ).prefetch(tf.data.AUTOTUNE)
    # https://www.tensorflow.org/guide/data_performance: files in random order, in parallel.
    files = tf.data.Dataset.list_files(str(folder / "*.tfrecord-*"), shuffle=True, seed=0)
    dataset = files.interleave(
        tf.data.TFRecordDataset,
        cycle_length=16,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=False,
    )
    if kind == "tfdata":
        dataset = dataset.shuffle(shuffle_bytes // records.record_bytes, seed=0)
    return dataset.batch(batch_size).skip(start_step).repeat().prefetch(tf.data.AUTOTUNE)


started = time.monotonic()
iterator = iter(batches(0))
kept = [next(iterator)]
first = time.monotonic() - started
count, started = 0, time.monotonic()
while time.monotonic() - started < seconds:
    batch = next(iterator)
    count += 1
    if len(kept) < _SAMPLED:
        kept.append(batch)
rate = count * batch_size / (time.monotonic() - started)
del iterator

feature = {"file": tf.io.FixedLenFeature([], tf.int64)}
found = [tf.io.parse_example(batch, feature)["file"].numpy() for batch in kept]
num_files = len(records.index.files)
shares = np.array([np.bincount(files, minlength=num_files) for files in found]) / batch_size
expected = np.array([file.num_records for file in records.index.files]) / len(records)
perfect = (expected * (1 - expected)).sum() / batch_size

middle = len(records) // batch_size // host_count // 2
started = time.monotonic()
next(iter(batches(middle)))
resume = time.monotonic() - started
line = {
    "rate": rate,
    "first": first,
    "resume": resume,
    "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "files": float((shares > 0).sum(axis=1).mean()),
    "variance": float(((shares - expected) ** 2).sum(axis=1).mean() / perfect),
}
print(json.dumps(line))
