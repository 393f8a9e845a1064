"""Megatron-LM: its IndexedDatasetBuilder on JSON Lines, as its tools/preprocess_data.py does it.

Two processes encode documents with the same BPE (Hugging Face tokenizers, one thread each), 32 a
message as there; the first process writes.
"""

import json
import multiprocessing
import os
import sys

import numpy as np
import torch
from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
from tokenizers import Tokenizer

rows, output, tokenizer = sys.argv[1:4]
WORKERS, CHUNK = 2, 32


def start():
    """Each process has a tokenizer of its own."""
    global encoder
    encoder = Tokenizer.from_file(tokenizer)


def encode(line):
    """The ids of a row's text."""
    return encoder.encode(json.loads(line)["text"], add_special_tokens=False).ids


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    builder = IndexedDatasetBuilder(f"{output}/text.bin", dtype=np.uint16)
    with open(rows, encoding="utf-8") as file, multiprocessing.Pool(WORKERS, start) as pool:
        for ids in pool.imap(encode, file, CHUNK):
            builder.add_document(torch.tensor(ids, dtype=torch.int64), [len(ids)])
    builder.finalize(f"{output}/text.idx")
