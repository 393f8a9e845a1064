"""All options of a run in one validated dataclass, its identity and its JSON file."""

import dataclasses
import json
import os
from typing import Any

from pipeline.errors import UserError
from pipeline.files import exists, join, read_text
from trainer.config.data import DataOptions
from trainer.config.devices import DeviceOptions
from trainer.config.embeddings import EmbeddingOptions
from trainer.config.model import ModelOptions
from trainer.config.optimization import OptimizationOptions
from trainer.config.option import check_choices
from trainer.config.outputs import OutputOptions

CONFIG_FILE = "config.json"  # in the run's directory


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig(
    DataOptions,
    ModelOptions,
    EmbeddingOptions,
    OptimizationOptions,
    DeviceOptions,
    OutputOptions,
):
    """Every option of a training run; an instance is always valid.

    The meaning of each field is its `help` metadata, which is also the flag's help.

    Raises:
        OptionError: an option breaks its rule; the message names the option, the
            rule, the value that came and the remedy.
    """

    def __post_init__(self) -> None:
        check_choices(self)
        self.check_data()
        self.check_model()
        self.check_embeddings()
        self.check_optimization()
        self.check_devices()
        self.check_outputs()

    def identity(self) -> dict[str, Any]:
        """Returns the settings that determine the trained weights, as JSON values.

        Two runs with equal identities, corpora and vocabularies are the same run:
        one may resume the other. What follows from other options is resolved: leaving
        `stride` out and giving `seq_len` are the same.
        """
        settings = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata["identity"]
        }
        settings["stride"] = self.window_stride
        settings["embedding_dim"] = self.embedding_size
        settings["heads"] = self.num_heads if self.model == "transformer" else self.heads
        return {**settings, **self.resolved_optimization()}

    def to_json(self) -> str:
        """Returns all settings as JSON text, one a line."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "TrainConfig":
        """Reads settings that `to_json` wrote.

        Raises:
            UserError: the file is not JSON, or its settings are not this version's.
        """
        try:
            return cls(**json.loads(read_text(path)))
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{path}: not the settings of a run of this version ({error}); "
                "train into another directory"
            ) from error


def run_config(run: str | os.PathLike[str]) -> TrainConfig:
    """Reads the settings of a run that `textreel train` wrote.

    Raises:
        UserError: the directory is no run, or its settings are not this version's.
    """
    if not exists(join(run, CONFIG_FILE)):
        raise UserError(
            f"`run` {run} is not the directory of a run: it has no {CONFIG_FILE}; give the "
            "--output of `textreel train`"
        )
    return TrainConfig.from_json(join(run, CONFIG_FILE))


def describe_differences(saved: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Lists the settings in which two identities differ, each with both values.

    Example: `["`units`: the run has 256, now 512"]`.
    """
    differences = {
        name: f"`{name}`: the run has {saved.get(name)!r}, now {current.get(name)!r}"
        for name in dict.fromkeys([*current, *saved])
        if saved.get(name) != current.get(name)
    }
    if "decay_steps" in differences and saved.get("decay_steps") is not None:
        differences["decay_steps"] += (
            f" (where it is not given, it is --steps; give --decay_steps {saved['decay_steps']})"
        )
    return list(differences.values())
