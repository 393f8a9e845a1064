"""Mosaic streaming: MDSWriter, blocks of 16,384 tokens."""

import sys
from importlib.machinery import ModuleSpec
from unittest import mock

import numpy as np

# The writer needs no images, and torchvision does not load beside every build of torch.
for name in ("", ".datasets", ".transforms", ".transforms.functional"):
    name = f"torchvision{name}"
    sys.modules[name] = mock.MagicMock(__spec__=ModuleSpec(name, None))
from streaming import MDSWriter  # noqa: E402

text, output = sys.argv[1:3]
table = np.arange(256, dtype=np.uint16)
with (
    open(text, "rb") as file,
    MDSWriter(out=f"{output}/mds", columns={"tokens": "ndarray:uint16"}) as writer,
):
    while block := file.read(2**14):
        writer.write({"tokens": table[np.frombuffer(block, np.uint8)]})
