"""Options of a training run: groups of them, a module each, joined in `TrainConfig`.

`TrainConfig` is the only list of options. The flags of `textreel train` and of
`python -m trainer.task` are made from its fields, so that they cannot differ; `run.toml` in
a run's directory holds them, and `saved` reads it. Nothing here imports TensorFlow.
"""

from trainer.config.saved import run_config
from trainer.config.train_config import TrainConfig

__all__ = ["TrainConfig", "run_config"]
