"""When to stop a run whose validation loss falls no more."""

from trainer.config import TrainConfig


class EarlyStopping:
    """Counts the evaluations since the best one.

    There is no state to save: the best checkpoint knows its step, and evaluations are due at
    multiples of their interval. So a run that was killed and resumed stops where an
    uninterrupted one would have stopped.

    Example: with `eval_every` 10, `early_stopping` 2 and losses 3.0, 2.5, 2.6, 2.5 the run
    stops at step 40: step 20 was the best, and neither of the two after it was better.

    Args:
        config: the run's options; `eval_every` and `early_stopping` are read.
        best_step: the step of the lowest validation loss so far; None before the first.
    """

    def __init__(self, config: TrainConfig, best_step: int | None) -> None:
        self._interval = config.eval_every
        self._patience = config.early_stopping
        self._best_step = best_step

    def improved(self, step: int) -> None:
        """Takes note that the evaluation at `step` was the best so far."""
        self._best_step = step

    def reason_to_stop(self, step: int) -> str | None:
        """Says why the run is over at `step`, in words that follow its name; None if it is not.

        Args:
            step: steps done; their evaluation, if one was due, is done as well.
        """
        if not self._patience or self._best_step is None:
            return None
        since = step // self._interval - self._best_step // self._interval
        if since < self._patience:
            return None
        return (
            f"stops early at step {step}: its validation loss was lowest at step "
            f"{self._best_step}, {since} evaluations ago; `textreel generate --checkpoint best` "
            f"takes that one. --early_stopping is {self._patience}; a larger one, or 0, lets the "
            "run go on"
        )
