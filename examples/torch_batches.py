"""PyTorch over `corpus.batches`: shuffled windows, without TensorFlow.

    python examples/torch_batches.py CORPUS [--steps 200] [--workers 2] [--start_step 0]

The reading goes on in threads beside the training, so `--workers 0` is often enough. With workers,
each reads its rows of every batch, which are put together here: the same batches for any number.
"""

import argparse
import itertools

import torch

import pipeline


class Windows(torch.utils.data.IterableDataset):
    """Batches of a split; a worker has its share of the rows of each.

    Args:
        corpus: the corpus.
        options: of `corpus.batches`.
    """

    def __init__(self, corpus, **options):
        super().__init__()
        self.corpus, self.options = corpus, options

    def __iter__(self):
        """Yields `(inputs, targets)` of this worker."""
        worker = torch.utils.data.get_worker_info()
        hosts = {"host_index": worker.id, "host_count": worker.num_workers} if worker else {}
        for inputs, targets in self.corpus.batches("train", **self.options, **hosts):
            yield torch.from_numpy(inputs), torch.from_numpy(targets).long()


class Model(torch.nn.Module):
    """Embedding, LSTM, logits."""

    def __init__(self, vocabulary_size, units=128):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, units)
        self.lstm = torch.nn.LSTM(units, units, batch_first=True)
        self.logits = torch.nn.Linear(units, vocabulary_size)

    def forward(self, inputs):
        """Logits, `[rows, seq_len, vocabulary_size]`."""
        return self.logits(self.lstm(self.embedding(inputs))[0])


def main():
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--start_step", type=int, default=0, help="of a run that goes on")
    arguments = parser.parse_args()
    corpus = pipeline.open_corpus(arguments.corpus)
    windows = Windows(corpus, seq_len=64, batch_size=64, seed=1, start_step=arguments.start_step)
    # `batch_size=None`: what comes are batches. The workers take turns, so that as many parts as
    # there are workers make one batch.
    parts = iter(
        torch.utils.data.DataLoader(windows, batch_size=None, num_workers=arguments.workers)
    )
    num_parts = max(1, arguments.workers)
    torch.manual_seed(0)
    model = Model(corpus.vocabulary.size)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for step in range(arguments.start_step, arguments.start_step + arguments.steps):
        pairs = itertools.islice(parts, num_parts)
        inputs, targets = (torch.cat(arrays) for arrays in zip(*pairs, strict=True))
        loss = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 50 == 0 or step == arguments.start_step + arguments.steps - 1:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)


if __name__ == "__main__":  # workers may import this file
    main()
