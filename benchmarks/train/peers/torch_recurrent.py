"""PyTorch: nn.LSTM (oneDNN's fused kernel on CPUs); "bfloat16": autocast, "compile": inductor.

With `--model=gru` nn.GRU.
"""

import torch
from timing import EMBEDDING, LEARNING_RATE, UNITS, batch, flags, options, report, vocabulary_size

LAYER = torch.nn.GRU if flags.get("model") == "gru" else torch.nn.LSTM


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, EMBEDDING)
        self.recurrent = LAYER(EMBEDDING, UNITS, batch_first=True)
        self.logits = torch.nn.Linear(UNITS, vocabulary_size)

    def forward(self, tokens):
        return self.logits(self.recurrent(self.embedding(tokens))[0])


model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
forward = torch.compile(model) if "compile" in options else model


def step():
    inputs, targets = (torch.from_numpy(array) for array in batch("int64"))
    with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in options):
        logits = forward(inputs)
    loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


report(step)
