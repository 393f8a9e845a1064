"""Task of a scheduler, `python -m trainer.task`: flags -> configuration -> training."""

import argparse
import contextlib
import dataclasses
import os
import sys

from pipeline.cli import main_with
from pipeline.commands.flags import add_json, add_quiet
from pipeline.errors import OptionError
from pipeline.options import add_flags, from_flags
from pipeline.parsing import CommandParser
from pipeline.terminal import show, show_json
from trainer.config import TrainConfig
from trainer.config.presets import PRESETS, preset
from trainer.config.splits import check_corpus
from trainer.config.train_config import settings_of
from trainer.hosts.environment import find_hosts
from trainer.hosts.meeting import tell_of_usage, telling_others
from trainer.steps.threads import operation_threads

# What Vertex AI tells a custom job that has a `baseOutputDirectory`.
_VERTEX_VARIABLES = {"output": "AIP_CHECKPOINT_DIR", "events": "AIP_TENSORBOARD_LOG_DIR"}
_VERTEX_MODEL = "AIP_MODEL_DIR"
USAGE = "%(prog)s CORPUS -o RUN [OPTION…]"


def run(arguments: argparse.Namespace) -> None:
    """Trains with parsed flags; in a Vertex AI job, exports the model then."""
    hosts = find_hosts(os.environ)
    with telling_others(hosts):
        config = config_of(arguments)
        check_corpus(config)
    from trainer.quiet import import_tensorflow

    import_tensorflow(
        start=hosts is None,
        shown=not arguments.quiet,
        operation_threads=operation_threads(config) if hosts is None else None,
    )
    from trainer.loop import train

    with contextlib.redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        result = train(config, quiet=arguments.quiet)
    if arguments.json and (hosts is None or hosts.is_chief):
        show_json(dataclasses.asdict(result))
    directory = os.environ.get(_VERTEX_MODEL)
    if directory and (hosts is None or hosts.is_chief):
        from trainer.exporting.directory import export

        # What is there is of an earlier start of this job.
        export(config.output, directory, overwrite=True, allow_code=True)  # that of --model
        if not arguments.quiet and not arguments.json:
            show(f"exported the model to {directory}")


def config_of(arguments: argparse.Namespace) -> TrainConfig:
    """Returns what flags ask for, and a file of options, and the directories of a Vertex AI job.

    What is typed goes before what the file or the preset says, and that before the job.

    Raises:
        OptionError: an option is missing, or breaks its rule.
        UserError: the file has no such options.
        OSError: it cannot be read.
    """
    file, name = {}, arguments.config
    if arguments.preset is not None:
        file, name = preset(arguments.preset), f"--preset {arguments.preset}"
    elif name is not None:
        file = settings_of(name)
    try:
        return from_flags(TrainConfig, arguments, {**_directories(), **file})
    except OptionError as error:
        option = str(error).partition("`")[2].partition("`")[0]
        if option in file and option not in vars(arguments):
            raise OptionError(f"{error} ({name} gives it{_remedy(option)})") from error
        raise


def _remedy(option: str) -> str:
    """What takes away an option that a file gives; nothing for one that always has a value."""
    default = getattr(TrainConfig, option, dataclasses.MISSING)
    return f"; --no_{option} takes it away" if default is None or default is False else ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of training, a group for each class of options, and what runs on them.

    In a Vertex AI job `--output` and `--events` may be left out.
    """
    for options in TrainConfig.__bases__:
        group = parser.add_argument_group((options.__doc__ or "").partition(".")[0].lower())
        add_flags(group, options, _directories())
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--config",
        metavar="FILE",
        help="a TOML file of options, such as the run.toml of another run; what is typed beside it "
        "counts more, and --no_OPTION takes away what it gives",
    )
    group.add_argument(
        "--preset",
        choices=PRESETS,
        help="options that were measured, by the time there is and the size of the text: "
        "docs/training.md; what is typed counts more, as beside a file",
    )
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m trainer.task`."""
    parser = CommandParser(
        prog="python -m trainer.task",
        usage=USAGE,
        description="Train a language model on a prepared corpus.",
    )
    add_arguments(parser)
    parser.set_defaults(resumes=False)
    return parser


def _directories() -> dict[str, str]:
    found = {option: os.environ.get(name) for option, name in _VERTEX_VARIABLES.items()}
    return {option: value for option, value in found.items() if value}


if __name__ == "__main__":
    main_with(build_parser, on_usage_error=tell_of_usage)
