"""What a run tells: on the terminal, and in its TensorBoard files."""

import dataclasses

from trainer.config import TrainConfig
from trainer.evaluate import Evaluation
from trainer.events import EventWriter
from trainer.progress import Progress


class Reports:
    """Every report of one call of `train`.

    Args:
        config: the run's options.
        start_step: steps that earlier calls did.
        quiet: shows nothing on the terminal; files are written all the same.
    """

    def __init__(self, config: TrainConfig, *, start_step: int, quiet: bool) -> None:
        self._progress = Progress(num_steps=config.steps, start_step=start_step, quiet=quiet)
        self._events = EventWriter(config.events_directory)

    def message(self, text: str) -> None:
        """Prints a text of whole lines."""
        self._progress.message(text)

    def training(
        self, step: int, *, loss: float, tokens_per_second: float, seconds_left: float
    ) -> None:
        """Reports how far the run is.

        Args:
            step: steps done.
            loss: mean training loss since the last report, nats a token.
            tokens_per_second: rate since the last report.
            seconds_left: remaining time at that rate.
        """
        self._progress.update(
            step, loss=loss, tokens_per_second=tokens_per_second, seconds_left=seconds_left
        )
        self._events.scalar("train/loss", loss, step=step)
        self._events.scalar("train/tokens_per_second", tokens_per_second, step=step)

    def validation(self, step: int, evaluation: Evaluation) -> None:
        """Reports the quality of the model."""
        self.message(f"validation at step {step}: {evaluation}")
        for name, value in dataclasses.asdict(evaluation).items():
            self._events.scalar(f"validation/{name}", value, step=step)

    def sample(self, step: int, temperature: float, text: str) -> None:
        """Reports a text that the model generated."""
        self._events.text(f"sample/temperature_{temperature:g}", text, step=step)
        self.message(f"--- sample at temperature {temperature:g}\n{text}")

    def flush(self) -> None:
        """Makes what was written so far visible to readers of the files."""
        self._events.flush()

    def close(self) -> None:
        """Ends the bar and the files; messages still print."""
        self._progress.close()
        self._events.close()
