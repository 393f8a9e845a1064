"""Mosaic streaming: MDSWriter, blocks of 16,384 tokens."""

import sys

import numpy as np
from streaming import MDSWriter

text, output = sys.argv[1:3]
table = np.arange(256, dtype=np.uint16)
with (
    open(text, "rb") as file,
    MDSWriter(out=f"{output}/mds", columns={"tokens": "ndarray:uint16"}) as writer,
):
    while block := file.read(2**14):
        writer.write({"tokens": table[np.frombuffer(block, np.uint8)]})
