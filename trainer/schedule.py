"""Schedule of a run: after which steps something is due, when it is saved, when it stops.

What is due at an interval is due at every multiple of it, and at the last step.
"""

import dataclasses
import shlex
import time
from collections.abc import Iterator

from trainer.config import TrainConfig
from trainer.hosts.agreement import Agreement
from trainer.hosts.signals import StopRequest


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
    """Says whether what comes every `interval` steps, 0 for never, is due after `step` steps."""
    return interval > 0 and (step % interval == 0 or step == last_step)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decision:
    """What all hosts do after a step.

    Attributes:
        save: whether to save.
        stop_signal: the signal that asks the run to stop after saving, or None.
    """

    save: bool
    stop_signal: int | None


class SavePolicy:
    """Decides when a run is saved and when a signal stops it, alike on every host.

    A save is due at multiples of `save_every` steps, or when that time has passed by the
    clock of the first host, and at the last step. A signal to any host saves and stops all
    of them.

    Args:
        config: the run's options.
        agreement: of the run's hosts.
        stop_request: the signals of this process.
    """

    def __init__(
        self, config: TrainConfig, agreement: Agreement, stop_request: StopRequest
    ) -> None:
        self._config = config
        self._agreement = agreement
        self._stop_request = stop_request
        self._saved_at = time.monotonic()

    def decide(self, step: int) -> Decision:
        """Decides for the step just done; every host must call it at the same steps."""
        # The larger of two values wins: a signal over a save, which it brings along.
        known = 2 * (self._stop_request.signal_number or 0) + self._is_time()
        agreed = self._agreement.largest(known)
        signal_number = agreed // 2
        is_last = step == self._config.steps
        save_steps = self._config.save_steps
        return Decision(
            save=agreed > 0 or is_last or (save_steps is not None and step % save_steps == 0),
            stop_signal=signal_number or None,
        )

    def saved(self) -> None:
        """Starts the clock anew: the run was just saved."""
        self._saved_at = time.monotonic()

    def _is_time(self) -> bool:
        seconds = self._config.save_seconds
        waited = time.monotonic() - self._saved_at
        return seconds is not None and self._agreement.is_chief and waited >= seconds


class EarlyStopping:
    """Decides when to stop a run whose validation loss falls no more.

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
        self._run = config.output
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
        generate = shlex.join(["textreel", "generate", self._run])
        return (
            f"stops early at step {step}: its validation loss was lowest at step "
            f"{self._best_step}, {since} evaluations ago; `{generate}` takes that one. "
            f"--early_stopping is {self._patience}; a larger one, or 0, lets the run go on"
        )
