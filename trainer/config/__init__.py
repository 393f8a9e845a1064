"""The options of one training run: a validated dataclass, its flags and its JSON file.

`TrainConfig` is the only list of options, joined from groups of them, a file each. The
flags of `textreel train` and of `python -m trainer.task` are built from its fields, so they
cannot differ. Importing this package imports no TensorFlow.
"""

from trainer.config.data import TARGETS
from trainer.config.devices import JIT_MODES, STRATEGIES
from trainer.config.flags import add_arguments, from_args
from trainer.config.model import MODELS
from trainer.config.outputs import EVENTS
from trainer.config.train_config import CONFIG_FILE, TrainConfig, describe_differences, run_config

__all__ = [
    "CONFIG_FILE",
    "EVENTS",
    "JIT_MODES",
    "MODELS",
    "STRATEGIES",
    "TARGETS",
    "TrainConfig",
    "add_arguments",
    "describe_differences",
    "from_args",
    "run_config",
]
