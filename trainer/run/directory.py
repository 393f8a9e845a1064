"""Directory of a run: made and checked, and given to the host that may write into it.

RUN/run.toml          the options (`TrainConfig`)
RUN/vocabulary.json   text <-> ids, so that the run does not need its corpus
RUN/metrics.jsonl     see `trainer.reports.metrics`
RUN/checkpoints/      see `trainer.run.checkpoint`
RUN/best/             see `trainer.run.checkpoint`
RUN/events/           see `trainer.reports.events`
RUN/.lock             held by the process that trains, with its name in it; on a disk
RUN/owner.txt         see `trainer.run.owner`; in a store

Of several hosts the first writes all of it; see `own_output`.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import exists, is_in_store, join, make_directory
from pipeline.locks import THIS_PROCESS, NoLocksError, held
from pipeline.reading.corpus import Corpus
from pipeline.terminal import show
from trainer.config.saved import CONFIG_FILE
from trainer.hosts.environment import Hosts
from trainer.run.checkpoint import DIRECTORY

_LOCK = ".lock"  # in the run's directory


def prepare_output(run: str, corpus: Corpus, *, events: str) -> None:
    """Makes the run's directories.

    Args:
        run: the run's directory, or its URI.
        corpus: what the run reads.
        events: directory of the event files, or its URI.

    Raises:
        UserError: the output is a file, or the corpus, or cannot be written; or it is a run that
            has lost the directory of its checkpoints.
    """
    if _canonical(run) == _canonical(corpus.directory):
        raise UserError(f"`output` {run} is the corpus; name another directory with --output")
    # The options are written after that directory is made. Object stores have no directories.
    if not is_in_store(run) and exists(join(run, CONFIG_FILE)) and not exists(join(run, DIRECTORY)):
        raise UserError(
            f"{run} has a {CONFIG_FILE}, but {DIRECTORY}/, which was there when that was written, "
            "is gone. Nothing was changed. Bring it back from a copy; or, to begin anew, move the "
            "run elsewhere, or train into another --output"
        )
    for option, given, directory in (
        ("output", run, run),
        ("output", run, join(run, DIRECTORY)),
        ("events", events, events),
    ):
        with _explaining(option, given, directory):
            make_directory(directory)


@contextlib.contextmanager
def _explaining(option: str, given: str, directory: str) -> Iterator[None]:
    """Turns an error in making a directory into a message that names the option."""
    try:
        yield
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

    The first one holds the run's directory meanwhile: a second training there would spoil it. What
    reads alone does not ask. In a store nothing is held: see `trainer.run.owner`.

    Args:
        run: the run's directory, or its URI.
        hosts: the processes that train together; None for this one alone.

    Raises:
        UserError: another training is under way there, or the directory cannot be made.
    """
    if hosts is None or hosts.is_chief:
        with _locked(run) if not is_in_store(run) else contextlib.nullcontext():
            yield run
        return
    with tempfile.TemporaryDirectory(prefix="textreel-", ignore_cleanup_errors=True) as scratch:
        yield scratch


@contextlib.contextmanager
def _locked(run: str) -> Iterator[None]:
    path, is_new = Path(run, _LOCK), not os.path.exists(run)

    def busy(holder: str) -> str:
        remedy = "wait for it"
        if holder != THIS_PROCESS:
            remedy += ", or end it: the same command then resumes it"
        return f"{run} is being trained by {holder}; {remedy}, or train into another --output"

    with contextlib.ExitStack() as stack:
        with _explaining("output", run, run):
            try:
                stack.enter_context(held(path, busy=busy))
            except NoLocksError as error:
                show(
                    f"textreel: warning: {run}: the file system has no locks ({error.strerror}): "
                    "a second training into it, which would spoil this one, is not noticed",
                    file=sys.stderr,
                )
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
                if is_new:
                    os.rmdir(run)  # where nothing was made


def _canonical(path: str) -> str:
    """Equal for two ways to write the path of one directory."""
    return path.rstrip("/") if is_in_store(path) else os.path.realpath(path)
