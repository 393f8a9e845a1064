"""Quiet and quick import of TensorFlow, without the dozen lines that its libraries write meanwhile.

Only command-line mains use this. The lines (CPU features, absent CUDA) come before
TensorFlow's own logging starts, so that TF_CPP_MIN_LOG_LEVEL does not reach them.
"""

import contextlib
import gc
import os
import sys
import tempfile
from collections.abc import Iterator

from absl import logging

from pipeline.errors import UserError
from pipeline.terminal import status
from trainer.allocator import keep_freed_memory


def check_backend() -> None:
    """Gives Keras TensorFlow for its backend, whatever a keras.json says.

    Raises:
        UserError: the environment names another one, or Keras is there already and has another.
    """
    backend, remedy = os.environ.setdefault("KERAS_BACKEND", "tensorflow"), "unset the variable"
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
        remedy += ", and correct keras.json or import trainer before keras"
    if backend != "tensorflow":
        raise UserError(
            f"`KERAS_BACKEND` must be tensorflow, got {backend}: what trains here is of "
            f"TensorFlow; {remedy}"
        )


def import_tensorflow(
    *, start: bool = True, shown: bool = False, operation_threads: int | None = None
) -> None:
    """Imports TensorFlow and finds its devices, with stderr held back meanwhile.

    Where the import fails, what was held back is written after all. With a TF_CPP_MIN_LOG_LEVEL
    in the environment nothing is held back. In any case this process keeps from now on the memory
    that it frees.

    Args:
        start: whether TensorFlow also starts on the devices, about which it writes more. With
            several hosts it must not: their strategy, which is made later, could not connect to
            the others any more.
        shown: whether to say that it is being loaded, which takes seconds.
        operation_threads: that one operation may use, where there are CPUs alone and TensorFlow
            has not started before; None leaves it to TensorFlow.

    Raises:
        UserError: the environment gives Keras another backend.
    """
    check_backend()
    keep_freed_memory()
    with status("loading TensorFlow", shown=shown), _quickly(), _held_back():
        import tensorflow as tf

        devices = tf.config.list_physical_devices()
        if operation_threads is not None and all(one.device_type == "CPU" for one in devices):
            with contextlib.suppress(RuntimeError):  # started before
                tf.config.threading.set_intra_op_parallelism_threads(operation_threads)
        if start:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def _quickly() -> Iterator[None]:
    """Imports in two thirds of the time.

    What a module makes it keeps: the collector of cyclic garbage would look through all of it
    dozens of times, and again whenever a step is traced. And Keras would import matplotlib, where
    it is installed, for pictures that no command makes.
    """
    hides = "matplotlib" not in sys.modules
    if hides:
        sys.modules["matplotlib"] = None  # type: ignore[assignment]
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hides:
            del sys.modules["matplotlib"]


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Holds back what is written to stderr, until something fails."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    logging.set_verbosity(logging.WARNING)  # a line at every checkpoint
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held_back:
            os.dup2(held_back.fileno(), 2)
            try:
                yield
            except BaseException:
                held_back.seek(0)
                os.write(stderr, held_back.read())
                raise
            finally:
                os.dup2(stderr, 2)
    finally:
        os.close(stderr)
