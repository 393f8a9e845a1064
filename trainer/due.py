"""When something is due: at every multiple of its interval, and at the last step."""

from collections.abc import Iterator

from trainer.config import TrainConfig


def event_steps(config: TrainConfig, start_step: int) -> Iterator[int]:
    """Yields the steps after `start_step` at which something is due, ascending, to the last.

    Example: `log_every=2, save_every=3, steps=7` from 0: 2, 3, 4, 6, 7.
    """
    intervals = [config.log_every, config.save_steps, config.eval_every, config.histograms_every]
    step = start_step
    while step < config.steps:
        next_steps = [(step // interval + 1) * interval for interval in intervals if interval]
        step = min(config.steps, *next_steps)
        yield step


def is_due(step: int, interval: int, last_step: int) -> bool:
    """Says whether what comes every `interval` steps is due after `step` steps."""
    return step % interval == 0 or step == last_step
