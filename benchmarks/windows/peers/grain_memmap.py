"""Grain: a random-access source over a memmap, shuffled, batched, with threads."""

import grain
import numpy as np
from timing import report, text


class Windows:
    """A source of windows."""

    def __init__(self, seq_len, stride):
        self.tokens = np.memmap(text, np.uint8, "r")
        self.size, self.stride = seq_len + 1, stride

    def __len__(self):
        return (len(self.tokens) - self.size) // self.stride + 1

    def __getitem__(self, index):
        start = index * self.stride
        window = self.tokens[start : start + self.size].astype(np.int32)
        return window[:-1], window[1:]


def make(seq_len, stride, batch_size):
    """Shuffled batches."""
    windows = grain.MapDataset.source(Windows(seq_len, stride)).shuffle(seed=0)
    return iter(windows.batch(batch_size, drop_remainder=True).repeat().to_iter_dataset())


report(make)
