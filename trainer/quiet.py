"""Quiet import of TensorFlow, without the dozen lines that its libraries write while they load.

Only command-line mains use this. The lines (CPU features, absent CUDA) come before
TensorFlow's own logging starts, so that TF_CPP_MIN_LOG_LEVEL does not reach them.
"""

import os
import sys
import tempfile

from absl import logging

from pipeline.errors import UserError
from pipeline.terminal import status
from trainer.allocator import keep_freed_memory


def import_tensorflow(*, start: bool = True, shown: bool = False) -> None:
    """Imports TensorFlow and finds its devices, with stderr held back meanwhile.

    Where the import fails, what was held back is written after all. With a TF_CPP_MIN_LOG_LEVEL
    in the environment nothing is held back, and TensorFlow is imported later. In any case this
    process keeps from now on the memory that it frees.

    Args:
        start: whether TensorFlow also starts on the devices, about which it writes more. With
            several hosts it must not: their strategy, which is made later, could not connect to
            the others any more.
        shown: whether to say that it is being loaded, which takes seconds.

    Raises:
        UserError: the environment gives Keras another backend.
    """
    # Whatever a keras.json says.
    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if backend != "tensorflow":
        raise UserError(
            f"`KERAS_BACKEND` must be tensorflow, got {backend}: what trains here is of "
            "TensorFlow; unset the variable"
        )
    keep_freed_memory()
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    logging.set_verbosity(logging.WARNING)  # a line at every checkpoint
    with status("loading TensorFlow", shown=shown):
        _import_silently(start=start)


def _import_silently(*, start: bool) -> None:
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held_back:
            os.dup2(held_back.fileno(), 2)
            try:
                import tensorflow as tf

                tf.config.list_physical_devices()
                if start:
                    tf.config.list_logical_devices()
            except BaseException:
                held_back.seek(0)
                os.write(stderr, held_back.read())
                raise
            finally:
                os.dup2(stderr, 2)
    finally:
        os.close(stderr)
