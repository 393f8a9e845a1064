"""`TrainConfig`: all options of a run in one validated dataclass, its identity and its TOML."""

import dataclasses
import os
import sys
import tomllib
import types
import typing
from typing import Any

import tomli_w

from pipeline.errors import OptionError, UserError
from pipeline.files import read_text
from pipeline.options import check_choices
from pipeline.parsing import near_miss
from trainer.config.data import DataOptions
from trainer.config.devices import DeviceOptions
from trainer.config.embeddings import EmbeddingOptions
from trainer.config.model import RECURRENT, ModelOptions
from trainer.config.optimization import OptimizationOptions
from trainer.config.outputs import OutputOptions

_ABOUT = """\
# The options of this run. The same again, elsewhere: textreel train --config FILE -o RUN
"""


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
        check_encoding(self)
        self.check_data()
        self.check_model()
        self.check_embeddings()
        self.check_optimization()
        self.check_devices()
        self.check_outputs()
        check_together(self)

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

    def to_toml(self) -> str:
        """Returns all settings as TOML, which has no `None`: what is not given is not there."""
        names = [
            field.name for group in type(self).__bases__ for field in dataclasses.fields(group)
        ]
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return _ABOUT + tomli_w.dumps(given)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> "TrainConfig":
        """Reads settings that `to_toml` wrote.

        Raises:
            UserError: the file is not TOML, or its settings are not this version's.
        """
        try:
            return cls(**settings_of(path))
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not the settings of a run of this version ({error}); "
                "train into another directory"
            ) from error


def settings_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads options from a TOML file: some, or all, each of its type.

    Raises:
        UserError: the file is not TOML, or has an option that is not known or not of its type.
        OSError: it cannot be read.
    """
    try:
        values = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError, too
        raise UserError(f"{path} must be TOML in UTF-8: {error}") from error
    hints = typing.get_type_hints(TrainConfig)
    for name, value in values.items():
        if name not in hints:
            near = near_miss(name, hints)
            raise UserError(
                f"{path}: there is no option {name!r}"
                + (f"; did you mean {near!r}?" if near else "")
            )
        if not _fits(value, hints[name]):
            raise UserError(f"{path}: the option {name!r} has another type, got {value!r}")
    return values


def check_encoding(config: TrainConfig) -> None:
    """Refuses names that are not UTF-8: no file could hold them.

    Raises:
        OptionError: one is not.
    """
    for name, value in dataclasses.asdict(config).items():
        try:
            if isinstance(value, str):
                value.encode()
        except UnicodeEncodeError:
            raise OptionError(
                f"`{name}` must be a text of UTF-8, got {value!r}; use another name"
            ) from None


def check_together(config: TrainConfig) -> None:
    """Refuses options of different groups that do not go together.

    Raises:
        OptionError: two of them do not.
    """
    if config.lanes and config.model not in RECURRENT:
        raise OptionError(
            f"`model` must be one of {', '.join(RECURRENT)} with `lanes` (which carry a "
            f"recurrent state on), got {config.model!r}; leave --lanes out or change --model"
        )
    if config.lanes and config.accumulate_steps > 1:
        raise OptionError(
            "`accumulate_steps` must be 1 with `lanes` (whose state belongs to whole steps), "
            f"got {config.accumulate_steps}; leave --accumulate_steps or --lanes out"
        )
    if config.recompute and config.model != "transformer" and not config.is_custom_model:
        raise OptionError(
            f"`recompute` must not be given with `model` {config.model!r} (it has no effect), got "
            "True; leave --recompute out or use --model transformer"
        )
    if config.pretrained_embeddings is not None and config.is_custom_model:
        raise OptionError(
            "`pretrained_embeddings` must not be given with a `model` of your own "
            f"({config.model}): only your function knows its embeddings; let it load them "
            "and leave --pretrained_embeddings out"
        )
    if config.init_from is not None and config.pretrained_embeddings is not None:
        raise OptionError(
            "`init_from` must not be given with `pretrained_embeddings` (the run's weights have "
            f"embeddings), got {config.init_from}; leave one of them out"
        )
    if config.init_from is not None and config.init_from == config.output:
        raise OptionError(
            f"`init_from` must be another run than `output`, got {config.init_from}; a run goes on "
            "from its own weights without --init_from"
        )
    if config.early_stopping and not config.eval_every:
        raise OptionError(
            "`early_stopping` must be 0 with `eval_every` 0 (there is no validation loss to "
            f"stop by), got {config.early_stopping}; change --eval_every or --early_stopping"
        )


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of TOML is of a field's type."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is types.UnionType:
        return any(_fits(value, part) for part in parts)
    if kind is typing.Literal:
        return type(value) is str and value in parts
    if kind is tuple:
        return type(value) is list and all(_fits(item, parts[0]) for item in value)
    return type(value) is hint or (
        hint is float and type(value) is int and abs(value) < sys.float_info.max
    )
