"""A run's directory: made, checked, and written so that no file is ever half there.

RUN/config.json       the options (`TrainConfig`)
RUN/vocabulary.json   text <-> ids, so that the run does not need its corpus
RUN/checkpoints/      see `trainer.checkpoint`
RUN/events/           see `trainer.events`
"""

import os
from pathlib import Path

from pipeline.corpus import Corpus
from pipeline.errors import UserError
from trainer.checkpoint import DIRECTORY

EVENTS = "events"


def prepare_output(run: Path, corpus: Corpus) -> None:
    """Makes the run's directories.

    Raises:
        UserError: the output is a file, or the corpus, or cannot be written.
    """
    if run.resolve() == Path(corpus.directory).resolve():
        raise UserError(f"`output` {run} is the corpus; name another directory with --output")
    try:
        for directory in (run, run / DIRECTORY, run / EVENTS):
            directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UserError(
            f"`output` {run} is or lies in a file; name a directory with --output"
        ) from error
    except OSError as error:
        raise _unwritable(run, error) from error
    for directory in (run, run / DIRECTORY, run / EVENTS):
        if not os.access(directory, os.W_OK | os.X_OK):
            raise _unwritable(directory, PermissionError("no permission"))


def _unwritable(path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"`output` {path} cannot be written ({reason}); name another --output")


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.incomplete")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
