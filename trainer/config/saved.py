"""Saved options of a run: `run.toml` in its directory, for who has the directory alone."""

import os

from pipeline.auditing.trace import Training
from pipeline.errors import UserError
from pipeline.files import exists, join
from pipeline.reading.batches import Batches
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.loading import load_vocabulary
from trainer.config.train_config import TrainConfig

CONFIG_FILE = "run.toml"  # in the run's directory


def run_config(run: str | os.PathLike[str]) -> TrainConfig:
    """Reads the options of a run that `textreel train` wrote.

    Raises:
        UserError: the directory is no run, or its options are not this version's.
    """
    if not exists(join(run, CONFIG_FILE)):
        raise UserError(
            f"`run` {run} is not the directory of a run: it has no {CONFIG_FILE}; give the "
            "RUN of `textreel train CORPUS -o RUN`"
        )
    return TrainConfig.from_toml(join(run, CONFIG_FILE))


def read_run(
    run: str | os.PathLike[str], *, allow_code: bool = False
) -> tuple[TrainConfig, Vocabulary]:
    """Reads what a run that is to be used says of itself: all that needs no TensorFlow.

    Args:
        run: the run's directory, or its URI.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.

    Raises:
        UserError: the directory is no run, its options or its vocabulary cannot be read, or its
            model is code that was not allowed.
    """
    config = run_config(run)
    if config.is_custom_model and not allow_code:
        raise UserError(
            f"{run} has a model of its own, {config.model}: using it runs the code of that module. "
            f"If you trust it, give --model {config.model} or --allow_code (in Python: "
            "allow_code=True)"
        )
    return config, load_vocabulary(run)


def training_of(directory: str) -> Training | None:
    """Reads what a run trains on; None where the directory is no run.

    Raises:
        UserError: it is one, and its options are not this version's.
    """
    if not exists(join(directory, CONFIG_FILE)):
        return None
    config = run_config(directory)
    return Training(
        corpus=config.corpus,
        split=config.train_split,
        batches=Batches(
            seq_len=config.seq_len,
            batch_size=config.batch_size,
            stride=config.window_stride,
            seed=config.seed,
        ),
        lanes=config.lanes,
    )
