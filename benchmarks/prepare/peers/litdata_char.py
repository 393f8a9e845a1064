"""LitData: optimize() with its TokensLoader, two workers."""

import os
import sys

import litdata
import numpy as np
import torch

text, output = sys.argv[1:3]
PART = 2**20
TABLE = np.arange(256, dtype=np.uint16)


def encode(start):
    """A MiB of the text."""
    with open(text, "rb") as file:
        file.seek(start)
        yield torch.from_numpy(TABLE[np.frombuffer(file.read(PART), np.uint8)].astype(np.int16))


if __name__ == "__main__":
    litdata.optimize(
        fn=encode,
        inputs=list(range(0, os.path.getsize(text), PART)),
        output_dir=f"{output}/out",
        chunk_bytes="64MB",
        num_workers=2,
        item_loader=litdata.TokensLoader(),
    )
