"""PyTorch's `DataLoader` over the records of a corpus, in random access, without TensorFlow.

    textreel prepare YOUR_TEXT -o CORPUS --array_record
    python examples/torch_records.py CORPUS [--batches 20]

A record is a stretch of text: 4,096 tokens, but for the last one of a shard, which is shorter.
"""

import argparse

import tensorflow_datasets as tfds
import torch

IGNORED = -100  # what `cross_entropy` leaves out


def pad(records):
    """Inputs and targets, `[rows, tokens of the longest record - 1]`, of records of any lengths."""
    tokens = [torch.from_numpy(record["tokens"].astype("int64")) for record in records]
    inputs = [record[:-1] for record in tokens]
    targets = [record[1:] for record in tokens]
    padded = torch.nn.utils.rnn.pad_sequence
    return (
        padded(inputs, batch_first=True),
        padded(targets, batch_first=True, padding_value=IGNORED),
    )


def main():
    """Goes through some batches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--batches", type=int, default=20)
    arguments = parser.parse_args()
    builder = tfds.builder_from_directory(arguments.corpus)
    records = builder.as_data_source(split="train")
    loader = torch.utils.data.DataLoader(
        records, batch_size=8, shuffle=True, collate_fn=pad, num_workers=2
    )
    print(f"{len(records)} records")
    done = 0
    while done < arguments.batches:
        for inputs, targets in loader:  # an epoch
            done += 1
            num_tokens = int((targets != IGNORED).sum())
            print(f"batch {done}: {tuple(inputs.shape)}, {num_tokens} targets", flush=True)
            if done == arguments.batches:
                break


if __name__ == "__main__":  # workers may import this file
    main()
