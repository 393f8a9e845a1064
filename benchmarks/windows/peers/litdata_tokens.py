"""LitData: chunks of 64 MB as `optimize` makes them, blocks of tokens, shuffled, two workers."""

import os

import litdata
import numpy as np
import torch
from timing import GEOMETRIES, report, text

PART = 2**20


def encode(start):
    """A MiB of the text."""
    with open(text, "rb") as file:
        file.seek(start)
        yield torch.from_numpy(np.frombuffer(file.read(PART), np.uint8).astype(np.int16))


def make(seq_len, stride, batch_size):
    """Shuffled batches of windows that lie end to end."""
    loader = litdata.TokensLoader(block_size=seq_len + 1)
    blocks = litdata.StreamingDataset(
        f"{text}.litdata", item_loader=loader, shuffle=True, drop_last=True
    )
    while True:
        for batch in litdata.StreamingDataLoader(blocks, batch_size=batch_size, num_workers=2):
            tokens = batch.to(torch.int32)
            yield tokens[:, :-1], tokens[:, 1:]


if __name__ == "__main__":
    if not os.path.exists(f"{text}.litdata"):
        litdata.optimize(
            fn=encode,
            inputs=list(range(0, os.path.getsize(text), PART)),
            output_dir=f"{text}.litdata",
            chunk_bytes="64MB",
            num_workers=2,
            item_loader=litdata.TokensLoader(),
        )
    report(make, GEOMETRIES[1:])
