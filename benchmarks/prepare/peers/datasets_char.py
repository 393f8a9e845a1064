"""Hugging Face datasets: text file, map over batches in two processes, save_to_disk."""

import sys

import datasets
import numpy as np

text, output = sys.argv[1:3]
TABLE = np.arange(256, dtype=np.uint16)


def encode(batch):
    """A line is a row."""
    return {"tokens": [TABLE[np.frombuffer(line.encode(), np.uint8)] for line in batch["text"]]}


if __name__ == "__main__":
    datasets.disable_progress_bars()
    lines = datasets.load_dataset(
        "text", data_files=text, split="train", sample_by="paragraph", cache_dir=f"{output}/cache"
    )
    features = datasets.Features({"tokens": datasets.List(datasets.Value("uint16"))})
    lines.map(
        encode, batched=True, num_proc=2, remove_columns=["text"], features=features
    ).save_to_disk(f"{output}/out")
