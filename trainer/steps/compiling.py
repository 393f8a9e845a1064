"""Compilation of a step's parts beside the start of the input pipeline.

XLA compiles a part when it first runs, on one core, for as long as all else takes from the model
to the first step. So it runs once beside that, on rows of zeros, and what comes of it is dropped.
"""

import contextlib
import threading
from collections.abc import Iterator

import tensorflow as tf

from trainer.config import TrainConfig
from trainer.steps.step import ReplicaStep


@contextlib.contextmanager
def compiling(step: ReplicaStep, config: TrainConfig) -> Iterator[None]:
    """Compiles the halves of a step while the context lasts; its end waits for them.

    Nothing else may use the model meanwhile. Steps that are not cut in halves, or not compiled,
    are left alone. The part's seeds are given: the streams of dropout stay where they are.

    Args:
        step: whose weights have their values.
        config: the run's options.
    """
    recipe = step.recipe
    if not (recipe.halves and recipe.jit):
        yield
        return

    @tf.function(autograph=False)
    def run_part() -> tf.Tensor:
        rows = recipe.batch_size // 2
        tokens = tf.zeros([rows, config.seq_len], tf.int32)
        targets = tokens if config.targets == "sequence" else tokens[:, -1]
        inputs = tokens if step.lanes is None else (tokens, tf.zeros_like(tokens, tf.bool))
        state = () if step.lanes is None else step.model.initial_state(rows)
        seeds = [tf.zeros_like(one.state.value) for one in step.generators]
        loss, *_ = step.strategy.run(step.part, args=(inputs, targets, state, seeds))
        return loss

    def compile_part() -> None:
        # What fails here fails in the first step as well, which says so.
        with contextlib.suppress(Exception):
            run_part()

    thread = threading.Thread(target=compile_part)
    thread.start()
    try:
        yield
    finally:
        thread.join()
