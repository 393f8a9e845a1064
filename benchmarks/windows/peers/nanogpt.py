"""nanoGPT's get_batch, as in its train.py, over a uint16 memmap."""

import numpy as np
import torch
from timing import report, text


def make(block_size, stride, batch_size):
    """Random batches; any start, so the stride has no effect."""
    while True:
        data = np.memmap(text + ".uint16", dtype=np.uint16, mode="r")
        ix = torch.randint(len(data) - block_size, (batch_size,))
        x = torch.stack([torch.from_numpy((data[i : i + block_size]).astype(np.int64)) for i in ix])
        y = torch.stack(
            [torch.from_numpy((data[i + 1 : i + 1 + block_size]).astype(np.int64)) for i in ix]
        )
        yield x, y


report(make)
