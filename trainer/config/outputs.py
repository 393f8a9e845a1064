"""What a run leaves behind and shows, and when."""

import dataclasses

from pipeline.errors import OptionError
from pipeline.files import join
from trainer.config.option import check_int, check_number, check_text, option

EVENTS = "events"  # in the run's directory


def _parse_temperatures(text: str) -> tuple[float, ...]:
    """`"0.5,1"` -> `(0.5, 1.0)`."""
    return tuple(float(part) for part in text.split(",") if part.strip())


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Directories, and the steps at which something is reported, saved or measured."""

    output: str = option(
        "directory of the run: checkpoints, events, settings", metavar="DIR", identity=False
    )
    events: str | None = option(
        "directory of the TensorBoard files; without it: events in --output",
        default=None,
        metavar="DIR",
        identity=False,
    )
    log_every: int = option(
        "steps between reports of loss and rate", default=50, parse=int, identity=False
    )
    save_every: int = option("steps between checkpoints", default=500, parse=int, identity=False)
    keep_checkpoints: int = option(
        "newest checkpoints to keep", default=3, parse=int, identity=False
    )
    eval_every: int = option(
        "steps between evaluations on the validation split; 0: never",
        default=500,
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
        check_text(self, "output")
        check_int(self, 1, "log_every", "save_every", "keep_checkpoints")
        check_int(self, 0, "eval_every", "sample_tokens")
        object.__setattr__(self, "sample_temperatures", tuple(self.sample_temperatures))
        if not self.sample_temperatures and self.sample_tokens:
            raise OptionError(
                "`sample_temperatures` must name at least one temperature; to generate no text, "
                "set `sample_tokens` to 0"
            )
        for temperature in self.sample_temperatures:
            check_number("sample_temperatures", temperature, "at least 0", temperature >= 0)

    @property
    def events_directory(self) -> str:
        """Where the TensorBoard files go: `events`, or `EVENTS` in `output` without it."""
        return self.events or join(self.output, EVENTS)
