"""torch DataLoader over a uint8 memmap: a batch is one gather, in two workers."""

import numpy as np
import torch
from timing import report, text


class Windows(torch.utils.data.Dataset):
    """Whole batches by their indices: the fastest way that the documentation shows."""

    def __init__(self, seq_len, stride):
        self.tokens = np.memmap(text, np.uint8, "r")
        self.windows = np.lib.stride_tricks.sliding_window_view(self.tokens, seq_len + 1)[::stride]

    def __len__(self):
        return len(self.windows)

    def __getitem__(self, indices):
        rows = torch.from_numpy(self.windows[indices].astype(np.int32))
        return rows[:, :-1], rows[:, 1:]


def make(seq_len, stride, batch_size):
    """Shuffled batches."""
    windows = Windows(seq_len, stride)
    batches = torch.utils.data.BatchSampler(
        torch.utils.data.RandomSampler(windows), batch_size, drop_last=True
    )
    while True:
        yield from torch.utils.data.DataLoader(
            windows, sampler=batches, batch_size=None, num_workers=2, prefetch_factor=16
        )


if __name__ == "__main__":
    report(make)
