"""Presets: options that were measured on a text of their size; see `docs/training.md`."""

import importlib.resources
from typing import Any

from trainer.config.train_config import settings_of

PRESETS = ("small", "medium", "large")


def preset(name: str) -> dict[str, Any]:
    """Returns the options of a preset, as `settings_of` does those of a file.

    Args:
        name: one of `PRESETS`.
    """
    with importlib.resources.as_file(importlib.resources.files(__name__) / f"{name}.toml") as path:
        return settings_of(path)
