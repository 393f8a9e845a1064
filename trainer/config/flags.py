"""The flags of `textreel train` and `python -m trainer.task`, built from the options' fields."""

import argparse
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from trainer.config.train_config import TrainConfig


def add_arguments(
    parser: argparse.ArgumentParser, defaults: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Adds one flag per option of `TrainConfig`, with its help and default.

    Each class of options that `TrainConfig` joins is a group in the help.

    Args:
        parser: gets the flags.
        defaults: option -> default, in place of the option's own.
    """
    for options in TrainConfig.__bases__:
        group = parser.add_argument_group((options.__doc__ or "").partition(".")[0].lower())
        for field in dataclasses.fields(options):
            _add_flag(group, field, defaults.get(field.name, field.default))


def _add_flag(group: argparse._ArgumentGroup, field: dataclasses.Field, default: object) -> None:
    if isinstance(default, bool):
        text = field.metadata["help"]
        group.add_argument(f"--{field.name}", action="store_true", default=default, help=text)
        return
    required = default is dataclasses.MISSING
    default = None if required else default
    text = field.metadata["help"]
    if default is not None:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        text += f" (default: {shown})"
    choices = field.metadata["choices"]
    group.add_argument(
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
