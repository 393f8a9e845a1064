"""What a run's errors from TensorFlow mean to who started it: one line, and the exit code.

A host that is lost breaks the others' collectives. They end soon, with a code that
schedulers retry: the same command on all of them resumes at the last checkpoint.
"""

import contextlib
import re
import sys
from collections.abc import Iterator

import tensorflow as tf

from pipeline.errors import UserError
from trainer.checkpoint import newest_checkpoint
from trainer.config import TrainConfig
from trainer.hosts import Hosts

# 128 + SIGUSR1. Kubeflow keeps it for "run it again"; others retry all codes above 127.
LOST_HOST_CODE = 138

# What collectives end with when a peer's connection breaks, or its heartbeat stays out.
_LOST_HOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_DAMAGE = re.compile(r"assertion failed: \[(.*?textreel repair`)\]")


@contextlib.contextmanager
def explaining_failures(config: TrainConfig, hosts: Hosts | None) -> Iterator[None]:
    """Turns TensorFlow's errors that have a cause outside of the program into messages.

    Args:
        config: the run's options.
        hosts: the processes that train together; None for this one alone.

    Raises:
        UserError: a shard is damaged or gone.
        SystemExit: another host was lost; `LOST_HOST_CODE`.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if damaged := _DAMAGE.search(error.message):
            raise UserError(damaged[1]) from error
        if isinstance(error, tf.errors.NotFoundError) and config.corpus in error.message:
            raise UserError(
                f"{config.corpus}: a file of the corpus is gone ({_first_line(error)}); bring it "
                f"back (or prepare the same text again), and the same command resumes "
                f"{config.output} from step {_newest_step(config.output)}"
            ) from error
        if hosts is None or not isinstance(error, _LOST_HOST):
            raise
        print(
            f"textreel: error: another worker was lost; the same command, on all {hosts.count} "
            f"workers or another number of them, resumes {config.output} from step "
            f"{_newest_step(config.output)}",
            file=sys.stderr,
            flush=True,
        )
        raise SystemExit(LOST_HOST_CODE) from None


def _newest_step(run: str) -> int:
    path = newest_checkpoint(run)
    return 0 if path is None else int(path.rpartition("-")[2])


def _first_line(error: tf.errors.OpError) -> str:
    return str(error.message).strip().partition("\n")[0]
