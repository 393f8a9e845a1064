"""The options of one training run: a validated dataclass, its flags and its JSON file.

`TrainConfig` is the only list of options. The flags of `textreel train` and of
`python -m trainer.task` are built from its fields, so they cannot differ.
Importing this module imports no TensorFlow.
"""

import argparse
import dataclasses
import json
import math
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pipeline.errors import OptionError, UserError
from pipeline.files import exists, join, read_text

CONFIG_FILE = "config.json"  # in the run's directory
EVENTS = "events"  # there too
STRATEGIES = ("auto", "one_device", "mirrored")
MODELS = ("lstm", "gru", "transformer")
TARGETS = ("sequence", "last")
JIT_MODES = ("off", "on")

# Settings that may change between two starts of one run: they move events, files and
# devices, not the sequence of updates (which floating-point order aside is the same).
_NOT_IDENTITY = frozenset(
    {
        "corpus",
        "output",
        "events",
        "steps",
        "eval_every",
        "save_every",
        "log_every",
        "keep_checkpoints",
        "strategy",
        "jit",
        "validation_split",
        "sample_tokens",
        "sample_temperatures",
    }
)


def _parse_temperatures(text: str) -> tuple[float, ...]:
    """`"0.5,1"` -> `(0.5, 1.0)`; argparse turns a ValueError into a usage error."""
    return tuple(float(part) for part in text.split(",") if part.strip())


def _option(
    text: str,
    *,
    default: Any = dataclasses.MISSING,
    parse: Callable[[str], Any] = str,
    choices: tuple[str, ...] | None = None,
    metavar: str | None = None,
) -> Any:
    metadata = {"help": text, "parse": parse, "choices": choices, "metavar": metavar}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Every option of a training run; an instance is always valid.

    The meaning of each field is its `help` metadata, which is also the flag's help.

    Raises:
        OptionError: an option breaks its rule; the message names the option, the
            rule, the value that came and the remedy.
    """

    corpus: str = _option("directory of the prepared corpus", metavar="DIR")
    output: str = _option("directory of the run: checkpoints, events, settings", metavar="DIR")
    events: str | None = _option(
        "directory of the TensorBoard files; without it: events in --output",
        default=None,
        metavar="DIR",
    )
    model: str = _option("kind of the model", default="lstm", choices=MODELS)
    layers: int = _option("number of layers", default=1, parse=int)
    units: int = _option(
        "units of each LSTM or GRU layer; width of the Transformer", default=256, parse=int
    )
    embedding_dim: int | None = _option(
        "size of a token's embedding vector; without it: 64, and the units of a Transformer",
        default=None,
        parse=int,
    )
    heads: int | None = _option(
        "attention heads of a Transformer; without it: one every 64 units",
        default=None,
        parse=int,
    )
    dropout: float = _option(
        "share of each layer's outputs that training drops", default=0.0, parse=float
    )
    seq_len: int = _option("tokens of input in one window", default=64, parse=int)
    stride: int | None = _option(
        "tokens between the starts of two windows; without it: seq_len",
        default=None,
        parse=int,
    )
    batch_size: int = _option(
        "windows of one step, over all hosts and replicas", default=64, parse=int
    )
    steps: int = _option("steps of the whole run (a resumed one included)", default=2000, parse=int)
    seed: int = _option("seed of the weights, the dropout and the text order", default=0, parse=int)
    targets: Literal["sequence", "last"] = _option(
        "predict the next token at every place of a window, or only after its last one",
        default="sequence",
        choices=TARGETS,
    )
    learning_rate: float = _option("step size of Adam", default=2e-3, parse=float)
    clip_norm: float = _option(
        "largest global norm of the gradients; 0 turns clipping off", default=1.0, parse=float
    )
    eval_every: int = _option(
        "steps between evaluations on the validation split; 0: never", default=500, parse=int
    )
    save_every: int = _option("steps between checkpoints", default=500, parse=int)
    log_every: int = _option("steps between reports of loss and rate", default=50, parse=int)
    keep_checkpoints: int = _option("newest checkpoints to keep", default=3, parse=int)
    strategy: str = _option(
        "devices to train on; auto: every GPU of this machine, else one device",
        default="auto",
        choices=STRATEGIES,
    )
    jit: str = _option(
        "compile the step with XLA; off is faster for an LSTM, on a CPU and with cuDNN",
        default="off",
        choices=JIT_MODES,
    )
    train_split: str = _option("split to train on", default="train", metavar="NAME")
    validation_split: str = _option("split to evaluate on", default="validation", metavar="NAME")
    sample_tokens: int = _option(
        "tokens of text to generate at each evaluation; 0: none", default=200, parse=int
    )
    sample_temperatures: tuple[float, ...] = _option(
        "temperatures of the generated text, comma-separated",
        default=(0.2, 0.5, 1.0, 1.2),
        parse=_parse_temperatures,
        metavar="T,T,...",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "sample_temperatures", tuple(self.sample_temperatures))
        for name in ("corpus", "output", "train_split", "validation_split"):
            if not getattr(self, name):
                raise OptionError(f"`{name}` must not be empty; give a value with --{name}")
        for name, least in {
            "layers": 1,
            "units": 1,
            "seq_len": 1,
            "batch_size": 1,
            "steps": 1,
            "save_every": 1,
            "log_every": 1,
            "keep_checkpoints": 1,
            "eval_every": 0,
            "sample_tokens": 0,
            "seed": 0,
        }.items():
            self._check_int(name, least)
        for name in ("stride", "embedding_dim", "heads"):
            if getattr(self, name) is not None:
                self._check_int(name, 1)
        if self.seed >= 2**31:  # NumPy's and TensorFlow's seeds are 32-bit
            raise OptionError(f"`seed` must be below 2**31, got {self.seed}; use a smaller one")
        for name, choices in {
            "model": MODELS,
            "targets": TARGETS,
            "strategy": STRATEGIES,
            "jit": JIT_MODES,
        }.items():
            if getattr(self, name) not in choices:
                raise OptionError(
                    f"`{name}` must be one of {', '.join(choices)}; got {getattr(self, name)!r}"
                )
        self._check_model()
        self._check_number("dropout", self.dropout, "at least 0 and below 1", 0 <= self.dropout < 1)
        self._check_number("learning_rate", self.learning_rate, "above 0", self.learning_rate > 0)
        self._check_number(
            "clip_norm", self.clip_norm, "at least 0 (0 turns clipping off)", self.clip_norm >= 0
        )
        if not self.sample_temperatures and self.sample_tokens:
            raise OptionError(
                "`sample_temperatures` must name at least one temperature; to generate no text, "
                "set `sample_tokens` to 0"
            )
        for temperature in self.sample_temperatures:
            self._check_number("sample_temperatures", temperature, "at least 0", temperature >= 0)
        if self.jit == "on" and self.strategy == "mirrored":
            raise OptionError(
                "`jit` must not be 'on' with `strategy` 'mirrored' (the replicas' exchange does "
                "not compile); use --jit off or --strategy one_device"
            )

    def _check_model(self) -> None:
        if self.model != "transformer":
            if self.heads is not None:
                raise OptionError(
                    f"`heads` must not be given with `model` {self.model!r} (it has no attention), "
                    f"got {self.heads}; leave --heads out or use --model transformer"
                )
            return
        if self.units % (2 * self.num_heads):
            raise OptionError(
                f"`units` must be a multiple of twice the `heads` ({self.num_heads}) of a "
                f"Transformer, got {self.units}; change --units or --heads"
            )
        if self.embedding_size != self.units:
            raise OptionError(
                f"`embedding_dim` must be the `units` ({self.units}) of a Transformer, got "
                f"{self.embedding_dim}; leave --embedding_dim out"
            )

    def _check_int(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise OptionError(
                f"`{name}` must be an integer of at least {least}, got {value!r}; change --{name}"
            )

    @staticmethod
    def _check_number(name: str, value: float, rule: str, holds: bool) -> None:
        if not (math.isfinite(value) and holds):
            raise OptionError(f"`{name}` must be {rule}, got {value!r}; change --{name}")

    @property
    def window_stride(self) -> int:
        """Tokens between the starts of two windows: `stride`, or `seq_len` without one."""
        return self.seq_len if self.stride is None else self.stride

    @property
    def events_directory(self) -> str:
        """Where the TensorBoard files go: `events`, or `EVENTS` in `output` without it."""
        return self.events or join(self.output, EVENTS)

    @property
    def embedding_size(self) -> int:
        """Size of an embedding vector: `embedding_dim`, or what its help says without one."""
        if self.embedding_dim is not None:
            return self.embedding_dim
        return self.units if self.model == "transformer" else 64

    @property
    def num_heads(self) -> int:
        """Attention heads of a Transformer: `heads`, or one every 64 units without it."""
        return max(1, self.units // 64) if self.heads is None else self.heads

    def identity(self) -> dict[str, Any]:
        """Returns the settings that determine the trained weights, as JSON values.

        Two runs with equal identities, corpora and vocabularies are the same run:
        one may resume the other. What follows from other options is resolved: leaving
        `stride` out and giving `seq_len` are the same.
        """
        settings = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in _NOT_IDENTITY
        }
        settings["stride"] = self.window_stride
        settings["embedding_dim"] = self.embedding_size
        settings["heads"] = self.num_heads if self.model == "transformer" else None
        return settings

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
    return [
        f"`{name}`: the run has {saved.get(name)!r}, now {current.get(name)!r}"
        for name in dict.fromkeys([*current, *saved])
        if saved.get(name) != current.get(name)
    ]


def add_arguments(
    parser: argparse.ArgumentParser, defaults: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Adds one flag per option of `TrainConfig`, with its help and default.

    Args:
        parser: gets the flags.
        defaults: option -> default, in place of the option's own.
    """
    for field in dataclasses.fields(TrainConfig):
        default = defaults.get(field.name, field.default)
        required = default is dataclasses.MISSING
        default = None if required else default
        text = field.metadata["help"]
        if not required and default is not None:
            shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
            text += f" (default: {shown})"
        choices = field.metadata["choices"]
        parser.add_argument(
            f"--{field.name}",
            required=required,
            default=default,
            type=field.metadata["parse"],
            choices=choices,
            metavar=None if choices else field.metadata["metavar"] or "N",
            help=text,
        )


def from_args(arguments: argparse.Namespace) -> TrainConfig:
    """Builds the configuration from parsed flags; attributes it does not know are ignored.

    Raises:
        OptionError: an option breaks its rule.
    """
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    return TrainConfig(**{name: getattr(arguments, name) for name in names})
