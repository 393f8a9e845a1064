"""PyTorch: nn.LSTM and nn.GRU (cuDNN's on a GPU); a GPT with flash attention; compiled.

The GPT is one of pre-normed blocks with biases left out, as in nanoGPT.
"""

import torch
from timing import batch, options, report
from torch import nn
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
UNITS, SIZE = options["units"], options["vocabulary_size"]
HEADS = max(1, UNITS // 64)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        kind = {"lstm": nn.LSTM, "gru": nn.GRU}[options["model"]]
        self.embedding = nn.Embedding(SIZE, UNITS)
        self.layers = kind(UNITS, UNITS, options["layers"], batch_first=True)
        self.logits = nn.Linear(UNITS, SIZE)

    def forward(self, tokens):
        return self.logits(self.layers(self.embedding(tokens))[0])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(UNITS, bias=False) for _ in range(2))
        self.mixed = nn.Linear(UNITS, 3 * UNITS, bias=False)
        self.out = nn.Linear(UNITS, UNITS, bias=False)
        self.wide = nn.Linear(UNITS, 4 * UNITS, bias=False)
        self.narrow = nn.Linear(4 * UNITS, UNITS, bias=False)

    def forward(self, hidden):
        parts = self.mixed(self.norms[0](hidden)).chunk(3, dim=-1)
        heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts]
        seen = functional.scaled_dot_product_attention(*heads, is_causal=True)
        hidden = hidden + self.out(seen.transpose(1, 2).flatten(2))
        return hidden + self.narrow(functional.gelu(self.wide(self.norms[1](hidden))))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SIZE, UNITS)
        self.places = nn.Embedding(options["seq_len"], UNITS)
        self.blocks = nn.Sequential(*[Block() for _ in range(options["layers"])])
        self.norm = nn.LayerNorm(UNITS, bias=False)
        self.logits = nn.Linear(UNITS, SIZE, bias=False)

    def forward(self, tokens):
        hidden = self.embedding(tokens) + self.places.weight
        return self.logits(self.norm(self.blocks(hidden)))


torch.manual_seed(1)
torch.set_float32_matmul_precision("high")
model = (Transformer() if options["model"] == "transformer" else Recurrent()).to(DEVICE)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=DEVICE == "cuda")
is_compiled = options["model"] == "transformer" and DEVICE == "cuda"
forward = torch.compile(model) if is_compiled else model


def step():
    inputs, targets = (torch.from_numpy(array).to(DEVICE) for array in batch("int64"))
    with torch.autocast(DEVICE, torch.bfloat16, enabled=options["precision"] == "bfloat16"):
        logits = forward(inputs)
    loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


report(
    step,
    lambda: torch.cuda.synchronize() if DEVICE == "cuda" else None,
    lambda: torch.cuda.max_memory_allocated() if DEVICE == "cuda" else None,
)
