"""Mosaic streaming: MDS shards of windows, shuffled, in a DataLoader of two workers."""

import os

import numpy as np
import torch
from streaming import MDSWriter, StreamingDataset
from timing import GEOMETRIES, report, text


class Windows(StreamingDataset):
    """Pairs of inputs and targets."""

    def __getitem__(self, index):
        window = torch.from_numpy(super().__getitem__(index)["tokens"].astype(np.int32))
        return window[:-1], window[1:]


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows that lie end to end."""
    size, folder = seq_len + 1, f"{text}.mds{seq_len}"
    if not os.path.exists(folder):
        tokens = np.fromfile(text, np.uint8)
        with MDSWriter(out=folder, columns={"tokens": f"ndarray:uint8:{size}"}) as writer:
            for window in tokens[: len(tokens) // size * size].reshape(-1, size):
                writer.write({"tokens": window})
    windows = Windows(local=folder, shuffle=True, batch_size=batch_size)
    while True:
        yield from torch.utils.data.DataLoader(
            windows, batch_size=batch_size, num_workers=2, drop_last=True
        )


if __name__ == "__main__":
    report(make, GEOMETRIES[1:])
