"""Use of a CPU: steps in halves, side by side; what XLA compiles; the threads of an operation."""

import os

from trainer.config import TrainConfig

_HALVED_ROWS = 32  # of an LSTM, the fewest: a place's product of half as many would cost as much
_FEW_CORES = 3
# By which a user settles it; TensorFlow reads it.
_VARIABLE = "TF_NUM_INTRAOP_THREADS"


def has_halves(config: TrainConfig) -> bool:
    """Whether a step on one CPU is two halves of its rows, side by side.

    Not a matter of how many cores there are: a run's dropout masks would depend on them.
    """
    is_cut = config.model in ("gru", "mingru", "transformer") or (
        config.model == "lstm" and config.batch_size >= _HALVED_ROWS
    )
    return is_cut and config.accumulate_steps == 1 and config.batch_size % 2 == 0


def is_compiled(config: TrainConfig) -> bool:
    """Whether XLA compiles a whole step on one CPU: where it was asked to, or is known to help."""
    if config.jit != "auto":
        return config.jit == "on"
    # Others compile what stands between their products by itself.
    return config.model == "lstm" and config.precision == "float32" and has_halves(config)


def operation_threads(config: TrainConfig, num_cores: int | None = None) -> int | None:
    """Returns how many threads of a CPU one operation may use; None leaves it to TensorFlow.

    One, where a step's two halves keep few cores busy: cut up besides, each operation would wait
    for a thread that works for the other half. Not where XLA compiles the whole step: with one
    thread, its loops take turns.

    Args:
        config: the run's options.
        num_cores: that the process may use; None for what the system says.
    """
    if num_cores is None:
        num_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    if os.environ.get(_VARIABLE) or not 1 < num_cores <= _FEW_CORES:
        return None
    if config.strategy not in ("auto", "one_device") or is_compiled(config):
        return None
    return 1 if has_halves(config) else None
