"""tiktoken with the same byte-level BPE: encode_ordinary_batch, two threads."""

import json
import sys

import numpy as np
import tiktoken

text, output, tokenizer = sys.argv[1:4]
GPT2 = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
others = [byte for byte in range(256) if byte not in printable]
byte_of = {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}
with open(tokenizer, encoding="utf-8") as file:
    vocabulary = json.load(file)["model"]["vocab"]
ranks = {
    bytes(byte_of[c] for c in token): number
    for token, number in vocabulary.items()
    if token != "<|endoftext|>"
}
encoding = tiktoken.Encoding("bpe", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={})
with open(text, encoding="utf-8", newline="") as file, open(f"{output}/tokens.bin", "wb") as out:
    while parts := [part for _ in range(16) if (part := file.read(2**18))]:
        for ids in encoding.encode_ordinary_batch(parts, num_threads=2):
            out.write(np.array(ids, np.uint16).tobytes())
