"""Options of the outputs: what a run writes and shows, and when."""

import dataclasses
import math

from pipeline.errors import OptionError
from pipeline.files import join
from pipeline.options import check_int, check_paths, option, path_flag
from trainer.config.durations import seconds_of
from trainer.own_code import is_function_name

EVENTS = "events"  # in the run's directory


def _parse_interval(text: str) -> int | str:
    """`"500"` -> `500`; `"10m"` stays."""
    return int(text) if text.isdecimal() else text


def _parse_temperatures(text: str) -> tuple[float, ...]:
    """`"0.5,1"` -> `(0.5, 1.0)`."""
    return tuple(float(part) for part in text.split(",") if part.strip())


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Directories, and the steps at which something is reported, saved or measured."""

    output: str = option(
        "directory of the run: checkpoints, events, settings",
        parse=path_flag,
        metavar="RUN",
        short="-o",
        identity=False,
    )
    events: str | None = option(
        "directory of the TensorBoard files; without it: events in --output",
        default=None,
        parse=path_flag,
        metavar="DIR",
        identity=False,
    )
    log_to: str | None = option(
        "your own log, such as MLflow or Weights & Biases: a function that gets the options and "
        "returns one that gets (step, figures)",
        default=None,
        metavar="MODULE:FUNCTION",
        identity=False,
    )
    log_every: int = option(
        "steps between reports of loss and rate", default=50, parse=int, identity=False
    )
    save_every: int | str = option(
        "steps between checkpoints, or time: 90s, 10m, 2h (checked at every report)",
        default=500,
        parse=_parse_interval,
        metavar="N|TIME",
        identity=False,
    )
    keep_checkpoints: int = option(
        "newest checkpoints to keep", default=3, parse=int, identity=False
    )
    eval_every: int = option(
        "steps between evaluations on the validation split; 0: never",
        default=500,
        parse=int,
        identity=False,
    )
    histograms_every: int = option(
        "steps between histograms of the weights in the TensorBoard files; 0: never",
        default=0,
        parse=int,
        identity=False,
    )
    sample_tokens: int = option(
        "tokens of text to generate at each evaluation; 0: none",
        default=200,
        parse=int,
        identity=False,
    )
    sample_temperatures: tuple[float, ...] = option(
        "temperatures of the generated text, comma-separated",
        default=(0.2, 0.5, 1.0, 1.2),
        parse=_parse_temperatures,
        metavar="T,T,...",
        identity=False,
    )

    def check_outputs(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        check_paths(self, "output", written=True)
        check_paths(self, "events", written=True, or_none=True)
        if self.log_to is not None and not is_function_name(self.log_to):
            raise OptionError(f"`log_to` must be of the form MODULE:FUNCTION, got {self.log_to!r}")
        check_int(self, 1, "log_every", "keep_checkpoints")
        self._check_save_every()
        check_int(self, 0, "eval_every", "histograms_every", "sample_tokens")
        object.__setattr__(self, "sample_temperatures", tuple(self.sample_temperatures))
        if not self.sample_temperatures and self.sample_tokens:
            raise OptionError(
                "`sample_temperatures` must name at least one temperature; to generate no text, "
                "set `sample_tokens` to 0"
            )
        for temperature in self.sample_temperatures:
            if not (math.isfinite(temperature) and temperature >= 0):
                raise OptionError(f"`sample_temperatures` must be at least 0, got {temperature!r}")

    def _check_save_every(self) -> None:
        if isinstance(self.save_every, str):
            valid = self.save_seconds is not None
        else:
            valid = type(self.save_every) is int and self.save_every >= 1
        if not valid:
            raise OptionError(
                "`save_every` must be an integer of at least 1 or a time such as 90s, 10m or 2h, "
                f"got {self.save_every!r}; change --save_every"
            )

    @property
    def save_steps(self) -> int | None:
        """Steps between checkpoints; None where `save_every` is a time."""
        return self.save_every if isinstance(self.save_every, int) else None

    @property
    def save_seconds(self) -> float | None:
        """Seconds between checkpoints; None where `save_every` is a number of steps."""
        if isinstance(self.save_every, int):
            return None
        return seconds_of(self.save_every)

    @property
    def events_directory(self) -> str:
        """Where the TensorBoard files go: `events`, or `EVENTS` in `output` without it."""
        return self.events or join(self.output, EVENTS)
