"""Mosaic streaming: MDS shards of windows, streamed from S3, shuffled, by two workers.

    python mosaic_s3.py make TEXT FOLDER
    python mosaic_s3.py read URI CACHE

Reading prints seconds, a line each: until the first batch, until the end of the epoch, `cached`,
and the second epoch's.
"""

import os
import sys
import time

import numpy as np
import torch
from streaming import MDSWriter, StreamingDataset

SEQ_LEN, BATCH_SIZE = 256, 64


class Windows(StreamingDataset):
    """Pairs of inputs and targets."""

    def __getitem__(self, index):
        window = torch.from_numpy(super().__getitem__(index)["tokens"].astype(np.int32))
        return window[:-1], window[1:]


def make(text, folder):
    """The shards, on this machine."""
    size = SEQ_LEN + 1
    tokens = np.fromfile(text, np.uint8)
    columns = {"tokens": f"ndarray:uint8:{size}"}
    with MDSWriter(out=folder, columns=columns, size_limit=2**24) as writer:
        for window in tokens[: len(tokens) // size * size].reshape(-1, size):
            writer.write({"tokens": window})


def read(uri, cache):
    """Two epochs."""
    os.environ["S3_ENDPOINT_URL"] = os.environ["AWS_ENDPOINT_URL"]
    started = time.perf_counter()
    windows = Windows(remote=uri, local=cache, shuffle=True, batch_size=BATCH_SIZE)
    loader = torch.utils.data.DataLoader(
        windows, batch_size=BATCH_SIZE, num_workers=2, drop_last=True
    )
    for epoch in range(2):
        for number, _ in enumerate(loader):
            if number == 0 and epoch == 0:
                print(time.perf_counter() - started, flush=True)
        print(time.perf_counter() - started, flush=True)
        if epoch == 0:
            print("cached", flush=True)
        started = time.perf_counter()


if __name__ == "__main__":
    {"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
