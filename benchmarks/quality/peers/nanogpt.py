"""nanoGPT's recipe for a CPU (4 x 128, block 64, batch 12, 2,000 steps), written anew in PyTorch.

    python nanogpt.py IDS SEED [SECONDS]

IDS has `train` and `validation`, a byte an id. With SECONDS it trains as many steps as fit into
that time, by the rate of 50 that are thrown away. As the README of github.com/karpathy/nanoGPT
says for Tiny Shakespeare on a CPU: no dropout, AdamW with beta2 0.99 and a decay of 0.1 on
matrices, 1e-3 down a cosine to 1e-4 after 100 steps, gradients clipped at 1, float32, not
compiled. It trains on windows at random places. Validation is measured on every window of 64 once
(nanoGPT takes 20 batches at random, a noisier figure of the same mean).
"""

import json
import math
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LAYERS, HEADS, WIDTH, BLOCK, BATCH, STEPS = 4, 4, 128, 64, 12, 2000
RATE, LOWEST, WARMUP, EVALUATIONS = 1e-3, 1e-4, 100, 20
PROBED = 50  # steps that tell the rate


class Block(nn.Module):
    """Attention and two dense layers, each after a norm and added to what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, bias=False) for _ in range(2))
        self.mixed = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.joined = nn.Linear(WIDTH, WIDTH, bias=False)
        self.wide = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.narrow = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        batch, length, _ = inputs.shape
        parts = self.mixed(self.norms[0](inputs)).split(WIDTH, dim=2)
        queries, keys, values = (
            part.view(batch, length, HEADS, WIDTH // HEADS).transpose(1, 2) for part in parts
        )
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        inputs = inputs + self.joined(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        return inputs + self.narrow(functional.gelu(self.wide(self.norms[1](inputs))))


class Model(nn.Module):
    """Embeddings of tokens and places, blocks, and logits by the embeddings of tokens."""

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary_size, WIDTH)
        self.places = nn.Embedding(BLOCK, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                last = name.endswith(("joined.weight", "narrow.weight"))
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * LAYERS) if last else 0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return functional.linear(self.norm(self.blocks(hidden)), self.tokens.weight)


def loss_of(model: nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Mean nats a character of `[batch, BLOCK + 1]` ids."""
    return functional.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def validate(model: nn.Module, ids: torch.Tensor) -> float:
    """Mean nats over all windows, each once."""
    windows = ids[: (len(ids) - 1) // BLOCK * BLOCK + 1].unfold(0, BLOCK + 1, BLOCK)
    losses = [loss_of(model, part).item() * len(part) for part in windows.split(64)]
    return sum(losses) / len(windows)


def rate_at(step: int, num_steps: int) -> float:
    """The learning rate of a step, counted from 0."""
    if step < WARMUP:
        return RATE * (step + 1) / (WARMUP + 1)
    share = (step - WARMUP) / (num_steps - WARMUP)
    return LOWEST + (RATE - LOWEST) * 0.5 * (1 + math.cos(math.pi * share))


def train(
    ids: torch.Tensor, validation: torch.Tensor, vocabulary_size: int, seed: int, num_steps: int
) -> tuple[list[tuple[float, float]], float]:
    """Trains a new model.

    Returns:
        Seconds in training steps and validation, at each evaluation; and the seconds of all steps.
    """
    torch.manual_seed(seed)
    model = Model(vocabulary_size)
    weights = list(model.parameters())
    groups = [
        {"params": [one for one in weights if one.dim() > 1], "weight_decay": 0.1},
        {"params": [one for one in weights if one.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99))
    curve, seconds = [], 0.0
    for step in range(num_steps):
        began = time.perf_counter()
        starts = torch.randint(len(ids) - BLOCK, (BATCH,))
        windows = ids[starts[:, None] + torch.arange(BLOCK + 1)]
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, num_steps)
        loss = loss_of(model, windows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        seconds += time.perf_counter() - began
        if num_steps > PROBED and (step + 1) % max(1, num_steps // EVALUATIONS) == 0:
            curve.append((seconds, validate(model, validation)))
    return curve, seconds


def main() -> None:
    """Trains, and prints the figures."""
    folder, seed = Path(sys.argv[1]), int(sys.argv[2])
    texts = [
        torch.from_numpy(np.fromfile(folder / name, np.uint8).astype(np.int64))
        for name in ("train", "validation")
    ]
    size = int(max(map(torch.max, texts))) + 1
    num_steps = STEPS
    if len(sys.argv) > 3:
        train(*texts, size, seed, PROBED // 5)
        _, probed = train(*texts, size, seed, PROBED)
        num_steps = round(float(sys.argv[3]) / probed * PROBED)
    curve, seconds = train(*texts, size, seed, num_steps)
    figures = {
        "nats": min(nats for _, nats in curve),
        "training_seconds": seconds,
        "steps": num_steps,
        "curve": curve,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
