"""The memory that this process has taken, at its peak."""

import resource
import sys


def peak_memory() -> int:
    """Returns the peak resident memory of this process, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts kibibytes


def peak_gpu_memory() -> int | None:
    """Returns the peak that TensorFlow has allocated on the fullest GPU, in bytes.

    None without a GPU.
    """
    import tensorflow as tf  # here, so that `textreel demo` starts without it

    peaks = [
        tf.config.experimental.get_memory_info(f"GPU:{index}")["peak"]
        for index in range(len(tf.config.list_logical_devices("GPU")))
    ]
    return max(peaks, default=None)
