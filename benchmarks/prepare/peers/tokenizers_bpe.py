"""Hugging Face tokenizers with the same BPE: encode_batch_fast on all cores."""

import sys

import numpy as np
from tokenizers import Tokenizer

text, output, tokenizer = sys.argv[1:4]
encoder = Tokenizer.from_file(tokenizer)
with open(text, encoding="utf-8", newline="") as file, open(f"{output}/tokens.bin", "wb") as out:
    while parts := [part for _ in range(64) if (part := file.read(2**14))]:
        for encoding in encoder.encode_batch_fast(parts, add_special_tokens=False):
            out.write(np.array(encoding.ids, np.uint16).tobytes())
