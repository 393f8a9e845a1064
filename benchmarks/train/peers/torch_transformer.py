"""PyTorch: nanoGPT's small Transformer (pre-norm, fused attention, GELU, tied embedding)."""

import torch
from timing import (
    LEARNING_RATE,
    SEQ_LEN,
    UNITS,
    batch,
    flags,
    options,
    report,
    vocabulary_size,
)
from torch.nn import functional

LAYERS, HEADS = int(flags["layers"]), int(flags["heads"])


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention = torch.nn.LayerNorm(UNITS, bias=False)
        self.qkv = torch.nn.Linear(UNITS, 3 * UNITS, bias=False)
        self.joined = torch.nn.Linear(UNITS, UNITS, bias=False)
        self.before_feed = torch.nn.LayerNorm(UNITS, bias=False)
        self.wide = torch.nn.Linear(UNITS, 4 * UNITS, bias=False)
        self.narrow = torch.nn.Linear(4 * UNITS, UNITS, bias=False)

    def forward(self, hidden):
        rows, places, _ = hidden.shape
        heads = (
            part.view(rows, places, HEADS, UNITS // HEADS).transpose(1, 2)
            for part in self.qkv(self.before_attention(hidden)).split(UNITS, 2)
        )
        attended = functional.scaled_dot_product_attention(*heads, is_causal=True)
        hidden = hidden + self.joined(attended.transpose(1, 2).reshape(hidden.shape))
        return hidden + self.narrow(functional.gelu(self.wide(self.before_feed(hidden))))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, UNITS)
        self.places = torch.nn.Embedding(SEQ_LEN, UNITS)
        self.blocks = torch.nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = torch.nn.LayerNorm(UNITS, bias=False)
        self.logits = torch.nn.Linear(UNITS, vocabulary_size, bias=False)
        self.logits.weight = self.embedding.weight

    def forward(self, tokens):
        places = self.places(torch.arange(tokens.shape[1]))
        return self.logits(self.norm(self.blocks(self.embedding(tokens) + places)))


model = Model()
for parameter in model.parameters():
    if parameter.dim() == 2:
        torch.nn.init.normal_(parameter, std=0.02)
optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
forward = torch.compile(model) if "compile" in options else model


def step():
    inputs, targets = (torch.from_numpy(array) for array in batch("int64"))
    with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in options):
        logits = forward(inputs)
    loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


report(step)
