"""Failures of a run that TensorFlow raises: what they mean to the user, and the exit code.

A host that is lost breaks the others' collectives. They end soon, with a code that
schedulers retry: the same command on all of them resumes at the last checkpoint.
"""

import contextlib
import sys
from collections.abc import Iterator

import tensorflow as tf

from pipeline.errors import UserError
from pipeline.files import exists
from pipeline.reading.damage import asserted_damage, asserted_replacement, asserted_unread
from pipeline.terminal import show
from trainer.config import TrainConfig
from trainer.hosts.environment import Hosts
from trainer.hosts.meeting import MissingHostError
from trainer.hosts.startup import LOST_HOST_CODE
from trainer.run.checkpoint import newest_step

# What collectives end with when a peer's connection breaks, or its heartbeat stays out.
_LOST_HOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


@contextlib.contextmanager
def explaining_failures(config: TrainConfig, hosts: Hosts | None) -> Iterator[None]:
    """Turns TensorFlow's errors that have a cause outside of the program into messages.

    Args:
        config: the run's options.
        hosts: the processes that train together; None for this one alone.

    Raises:
        UserError: a shard is damaged or gone, or the corpus is another one now.
        SystemExit: another host was lost, or did not come; `LOST_HOST_CODE`.
    """
    try:
        yield
    except MissingHostError as error:
        show(f"textreel: error: {error}", file=sys.stderr)
        raise SystemExit(LOST_HOST_CODE) from None
    except tf.errors.OpError as error:
        if damage := asserted_damage(error.message):
            if exists(damage.file):
                raise UserError(str(damage)) from error
            raise UserError(
                f"{damage.file} is gone from the corpus; bring it back, or make it again with "
                f"`textreel repair`, and the same command resumes {config.output} from step "
                f"{newest_step(config.output)}"
            ) from error
        if replacement := asserted_replacement(error.message):
            raise UserError(
                f"{replacement}. With the one that it was trained on, the same command resumes "
                f"{config.output} from step {newest_step(config.output)}; another one needs "
                "another --output"
            ) from error
        if unread := asserted_unread(error.message):
            raise UserError(
                f"{unread}; the same command resumes {config.output} from step "
                f"{newest_step(config.output)}"
            ) from error
        if hosts is None or not isinstance(error, _LOST_HOST):
            raise
        show(
            f"textreel: error: another worker was lost; the same command, on all {hosts.count} "
            f"workers or another number of them, resumes {config.output} from step "
            f"{newest_step(config.output)}",
            file=sys.stderr,
        )
        raise SystemExit(LOST_HOST_CODE) from None
