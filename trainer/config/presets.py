"""Presets: sets of options for a size of text and a time. What is typed beside one counts more."""

import types
from collections.abc import Mapping
from typing import Any

_COSINE = {"schedule": "cosine", "warmup_steps": 100, "min_learning_rate_ratio": 0.05}

# Each is a row of `benchmarks/quality`; the precision is left to who knows the processor.
PRESETS: Mapping[str, Mapping[str, Any]] = types.MappingProxyType(
    {
        "small": {**_COSINE, "steps": 5000, "batch_size": 32, "learning_rate": 4e-3},
        "medium": {
            **_COSINE,
            "steps": 12_000,
            "units": 512,
            "dropout": 0.3,
            "batch_size": 32,
            "seq_len": 128,
            "learning_rate": 3e-3,
            "ema": 0.998,
        },
        "large": {
            **_COSINE,
            "steps": 20_000,
            "layers": 3,
            "units": 512,
            "dropout": 0.3,
            "batch_size": 64,
            "seq_len": 128,
            "ema": 0.998,
        },
    }
)
