"""LitData: chunks of 16 MB of tokens, streamed from S3, shuffled, by two workers.

    python litdata_s3.py make TEXT FOLDER
    python litdata_s3.py read URI CACHE

Reading prints seconds, a line each: until the first batch, until the end of the epoch, `cached`,
and the second epoch's.
"""

import os
import sys
import time

import litdata
import numpy as np
import torch
from litdata.streaming import downloader

PART = 2**20
SEQ_LEN, BATCH_SIZE = 256, 64


def encode(job):
    """A MiB of the text."""
    text, start = job
    with open(text, "rb") as file:
        file.seek(start)
        yield torch.from_numpy(np.frombuffer(file.read(PART), np.uint8).copy())


def make(text, folder):
    """The chunks, on this machine."""
    litdata.optimize(
        fn=encode,
        inputs=[(text, start) for start in range(0, os.path.getsize(text), PART)],
        output_dir=folder,
        chunk_bytes="16MB",
        num_workers=2,
        item_loader=litdata.TokensLoader(),
    )


def read(uri, cache):
    """Two epochs."""
    options = downloader._OBSTORE_CLIENT_OPTIONS or {}
    downloader._OBSTORE_CLIENT_OPTIONS = {**options, "allow_http": True}  # the server has no TLS
    started = time.perf_counter()
    blocks = litdata.StreamingDataset(
        uri,
        cache_dir=cache,
        item_loader=litdata.TokensLoader(block_size=SEQ_LEN + 1),
        shuffle=True,
        drop_last=True,
        storage_options={"endpoint_url": os.environ["AWS_ENDPOINT_URL"]},
    )
    loader = litdata.StreamingDataLoader(blocks, batch_size=BATCH_SIZE, num_workers=2)
    for epoch in range(2):
        for number, batch in enumerate(loader):
            tokens = batch.to(torch.int32)
            tokens[:, :-1], tokens[:, 1:]
            if number == 0 and epoch == 0:
                print(time.perf_counter() - started, flush=True)
        print(time.perf_counter() - started, flush=True)
        if epoch == 0:
            print("cached", flush=True)
        started = time.perf_counter()


if __name__ == "__main__":
    {"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
