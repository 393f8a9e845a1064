"""When a run is saved, and when it stops because a signal came: decided alike on every host."""

import dataclasses
import time

from trainer.config import TrainConfig
from trainer.hosts.agreement import Agreement
from trainer.hosts.signals import StopRequest


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
    """Decides at the steps at which the loop is between its compiled steps.

    A save is due at multiples of `save_every` steps, or when that time has passed by the
    clock of the first host, and at the last step. A signal to any host saves and stops all
    of them.

    Args:
        config: the run's options.
        agreement: of the run's hosts.
        stop: the signals of this process.
    """

    def __init__(self, config: TrainConfig, agreement: Agreement, stop: StopRequest) -> None:
        self._config = config
        self._agreement = agreement
        self._stop = stop
        self._saved_at = time.monotonic()

    def decide(self, step: int) -> Decision:
        """Decides for the step just done; every host must call it at the same steps."""
        # The larger of two values wins: a signal over a save, which it brings along.
        agreed = self._agreement.largest(2 * (self._stop.signal_number or 0) + self._is_time())
        signal_number = agreed // 2
        is_last = step == self._config.steps
        save_steps = self._config.save_steps
        return Decision(
            save=agreed > 0 or is_last or (save_steps is not None and step % save_steps == 0),
            stop_signal=signal_number if signal_number and not is_last else None,
        )

    def saved(self) -> None:
        """Starts the clock anew: the run was just saved."""
        self._saved_at = time.monotonic()

    def _is_time(self) -> bool:
        seconds = self._config.save_seconds
        waited = time.monotonic() - self._saved_at
        return seconds is not None and self._agreement.is_chief and waited >= seconds
