"""nanoGPT's data/shakespeare_char/prepare.py, with the lookup table of its dictionary."""

import sys

import numpy as np

text, output = sys.argv[1:3]
with open(text, encoding="utf-8") as file:
    data = file.read()
ids = {character: index for index, character in enumerate(sorted(set(data)))}
cut = int(len(data) * 0.98)
for name, part in [("train", data[:cut]), ("val", data[cut:])]:
    np.array([ids[character] for character in part], np.uint16).tofile(f"{output}/{name}.bin")
