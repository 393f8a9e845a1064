"""Directory of a run: made and checked, and given to the host that may write into it.

RUN/config.json       the options (`TrainConfig`)
RUN/vocabulary.json   text <-> ids, so that the run does not need its corpus
RUN/metrics.jsonl     see `trainer.reports.metrics`
RUN/checkpoints/      see `trainer.run.checkpoint`
RUN/best/             see `trainer.run.checkpoint`
RUN/events/           see `trainer.reports.events`

Of several hosts the first writes all of it; see `own_output`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from pipeline.errors import UserError
from pipeline.files import is_uri, join, make_directory
from pipeline.reading.corpus import Corpus
from trainer.hosts.environment import Hosts
from trainer.run.checkpoint import DIRECTORY


def prepare_output(run: str, corpus: Corpus, *, events: str) -> None:
    """Makes the run's directories.

    Args:
        run: the run's directory, or its URI.
        corpus: what the run reads.
        events: directory of the event files, or its URI.

    Raises:
        UserError: the output is a file, or the corpus, or cannot be written.
    """
    if _canonical(run) == _canonical(corpus.directory):
        raise UserError(f"`output` {run} is the corpus; name another directory with --output")
    for option, given, directory in (
        ("output", run, run),
        ("output", run, join(run, DIRECTORY)),
        ("events", events, events),
    ):
        try:
            make_directory(directory)
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(
                f"`{option}` {given} is or lies in a file; name a directory with --{option}"
            ) from error
        except OSError as error:
            raise UserError(
                f"`{option}` {directory} cannot be written ({error.strerror or error}); "
                f"name another --{option}"
            ) from error


@contextlib.contextmanager
def own_output(run: str, hosts: Hosts | None) -> Iterator[str]:
    """Gives the directory that this process writes into, in place of the run's.

    Of several hosts, all do the same work, saving included, which may need them all. But
    the run's directory is the first one's: each other one writes into a scratch directory,
    which is removed afterwards.

    Args:
        run: the run's directory, or its URI.
        hosts: the processes that train together; None for this one alone.
    """
    if hosts is None or hosts.is_chief:
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="textreel-", ignore_cleanup_errors=True) as scratch:
        yield scratch


def _canonical(path: str) -> str:
    """Equal for two ways to write the path of one directory."""
    return path.rstrip("/") if is_uri(path) else os.path.realpath(path)
