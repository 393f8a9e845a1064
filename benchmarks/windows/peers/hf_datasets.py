"""Hugging Face datasets: rows of seq_len + 1 tokens, shuffled, iterated as numpy batches."""

import numpy as np
from datasets import Dataset
from timing import GEOMETRIES, report, text

tokens = np.fromfile(text, np.uint8)


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows that lie end to end."""
    rows = len(tokens) // (seq_len + 1)
    table = Dataset.from_dict(
        {"tokens": tokens[: rows * (seq_len + 1)].reshape(rows, seq_len + 1)}
    ).with_format("numpy")
    while True:
        for batch in table.shuffle(seed=0).flatten_indices().iter(batch_size, drop_last_batch=True):
            window = np.stack(batch["tokens"]).astype(np.int32)
            yield window[:, :-1], window[:, 1:]


report(make, GEOMETRIES[1:])
