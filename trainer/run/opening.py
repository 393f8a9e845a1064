"""Opening of a run that is to be used: its options, its vocabulary and a checkpoint agree."""

import dataclasses
import os
import sys

from pipeline.errors import UserError
from pipeline.files import checked_path
from pipeline.terminal import show
from pipeline.vocabulary.base import Vocabulary
from trainer.config import TrainConfig
from trainer.config.saved import CONFIG_FILE, read_run
from trainer.run.checkpoint import find_checkpoint, read_identity
from trainer.run.identity import RunIdentity, difference_texts
from trainer.run.stored import Found

# Paths whose content, by its digest, is in a run's identity: the options do not have that.
DIGESTS = ("init_from", "pretrained_embeddings")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A run that `textreel train` wrote, to be used.

    Attributes:
        config: its options.
        vocabulary: text <-> ids.
        found: the checkpoint that was asked for, which is whole.
    """

    config: TrainConfig
    vocabulary: Vocabulary
    found: Found

    @property
    def checkpoint(self) -> str:
        """Path prefix of the checkpoint's files."""
        return self.found.path


def open_run(
    run: str | os.PathLike[str], *, checkpoint: str | None = None, allow_code: bool = False
) -> OpenedRun:
    """Opens a run; says on standard error which newer checkpoints are damaged.

    Args:
        run: the run's directory, or its URI.
        checkpoint: `"best"`, the one of the lowest validation loss, or `"newest"`; None: see
            `default_checkpoint`.
        allow_code: whether a model of the run's own, a `module:function`, may be imported and run.

    Raises:
        OptionError: `checkpoint` is neither, or `run` is no path.
        UserError: the directory is no run, has no such checkpoint or none that is whole; its
            options or its vocabulary are not those of the checkpoint; or its model is code that
            was not allowed.
    """
    run = checked_path(run, "run")
    config, vocabulary = read_run(run, allow_code=allow_code)
    found = find_checkpoint(run, checkpoint)
    saved = read_identity(found.path)
    _check_config(run, config, saved, found.path)
    if vocabulary.fingerprint != saved.vocabulary:
        raise UserError(
            f"{run}: its vocabulary is not the one that {found.path} was trained with: the "
            f"checkpoint's has the fingerprint {saved.vocabulary[:16]}, that of the file there "
            f"{vocabulary.fingerprint[:16]}; bring the file back, or copy it from the run's corpus"
        )
    for line in found.warnings():
        show(f"textreel: {line}", file=sys.stderr)
    return OpenedRun(config=config, vocabulary=vocabulary, found=found)


def _check_config(
    run: str | os.PathLike[str], config: TrainConfig, saved: RunIdentity, path: str
) -> None:
    settings = config.identity()
    settings |= {name: saved.settings[name] for name in DIGESTS if name in saved.settings}
    if differences := difference_texts(saved.settings, settings, now="the file has"):
        raise UserError(
            f"{run}: {CONFIG_FILE} is not what {path} was trained with: {'; '.join(differences)}. "
            "Bring the file back, or train with the run's options: that writes it anew"
        )
