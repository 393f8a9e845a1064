"""Options of the optimization: how a run's weights are updated, and for how long."""

import dataclasses
from typing import Any

from pipeline.errors import OptionError
from pipeline.options import check_int, check_number, option

OPTIMIZERS = ("adam", "adamw", "muon", "rmsprop")
SCHEDULES = ("constant", "cosine", "wsd")
_WEIGHT_DECAY = 0.01
_LOWEST_RATIO = 0.1
_DECAY_FRACTION = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationOptions:
    """The optimizer and its course."""

    steps: int = option(
        "steps of the whole run (a resumed one included)", default=2000, parse=int, identity=False
    )
    early_stopping: int = option(
        "evaluations in a row without a better validation loss after which to stop; 0: never",
        default=0,
        parse=int,
        identity=False,
    )
    optimizer: str = option("how gradients become updates", default="adam", choices=OPTIMIZERS)
    learning_rate: float = option(
        "step size of the optimizer, at its largest", default=2e-3, parse=float
    )
    schedule: str = option(
        "course of the learning rate: constant; cosine: down half a cosine by --decay_steps; "
        "wsd: constant, and down in the last --decay_fraction of --decay_steps",
        default="constant",
        choices=SCHEDULES,
    )
    warmup_steps: int = option(
        "first steps, in which the learning rate rises linearly", default=0, parse=int
    )
    decay_steps: int | None = option(
        "step at which the decay ends; without it: --steps", default=None, parse=int
    )
    decay_fraction: float | None = option(
        "share of --decay_steps, the last of them, in which the rate of wsd falls; without "
        f"it: {_DECAY_FRACTION}",
        default=None,
        parse=float,
    )
    min_learning_rate_ratio: float | None = option(
        "share of the learning rate that is left where the decay ends, and stays; without "
        f"it: {_LOWEST_RATIO}",
        default=None,
        parse=float,
    )
    weight_decay: float | None = option(
        "share of the weights that adamw or muon takes off a step, times the learning rate; "
        f"biases, norms and embeddings are spared; without it: {_WEIGHT_DECAY}",
        default=None,
        parse=float,
    )
    clip_norm: float = option(
        "largest global norm of the gradients; 0 turns clipping off", default=1.0, parse=float
    )
    ema: float = option(
        "share that a step keeps of the average of the weights, such as 0.999; the average is "
        "what is evaluated, sampled, exported and used; 0: no average",
        default=0.0,
        parse=float,
    )
    label_smoothing: float = option(
        "share of the probability that training wants spread over all tokens; the training "
        "loss is then another than that of the validation",
        default=0.0,
        parse=float,
    )

    def check_optimization(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        check_int(self, 1, "steps")
        check_int(self, 0, "early_stopping", "warmup_steps")
        check_number(self, "learning_rate", "above 0", lambda rate: rate > 0)
        check_number(self, "clip_norm", "at least 0 (0 turns clipping off)", lambda norm: norm >= 0)
        check_number(self, "ema", "at least 0 and below 1", lambda share: 0 <= share < 1)
        check_number(self, "label_smoothing", "at least 0 and below 1", lambda part: 0 <= part < 1)
        self._check_decay_of_rate()
        if self.weight_decay is not None:
            self._check_belongs("weight_decay", "optimizer", "adamw", "muon")
            check_number(self, "weight_decay", "at least 0", lambda decay: decay >= 0)

    def _check_decay_of_rate(self) -> None:
        ratio = self.min_learning_rate_ratio
        if self.decay_steps is not None:
            self._check_belongs("decay_steps", "schedule", "cosine", "wsd")
            check_int(self, 1, "decay_steps")
        if self.decay_fraction is not None:
            self._check_belongs("decay_fraction", "schedule", "wsd")
            check_number(
                self, "decay_fraction", "above 0 and at most 1", lambda part: 0 < part <= 1
            )
        if ratio is not None:
            self._check_belongs("min_learning_rate_ratio", "schedule", "cosine", "wsd")
            check_number(
                self, "min_learning_rate_ratio", "from 0 to 1", lambda ratio: 0 <= ratio <= 1
            )
        if self.decay_end is None:
            return
        if self.warmup_steps >= self.decay_end:
            raise OptionError(
                f"`warmup_steps` must be below the step at which the decay ends "
                f"({self.decay_end}), got {self.warmup_steps}; change --warmup_steps or "
                "--decay_steps"
            )
        if ratio == 0 and self.steps > self.decay_end:
            raise OptionError(
                f"`steps` must be at most `decay_steps` ({self.decay_end}) with "
                f"`min_learning_rate_ratio` 0 (later steps would change nothing), got "
                f"{self.steps}; change --decay_steps or --min_learning_rate_ratio"
            )

    def _check_belongs(self, name: str, other: str, *values: str) -> None:
        """Refuses an option that has no effect but with one of `values` of the option `other`."""
        if getattr(self, other) not in values:
            raise OptionError(
                f"`{name}` must not be given with `{other}` {getattr(self, other)!r} (it has no "
                f"effect), got {getattr(self, name)}; leave --{name} out or use "
                f"--{other} {' or '.join(values)}"
            )

    @property
    def decay_end(self) -> int | None:
        """Step at which the decay ends: `decay_steps`, or `steps`; None if there is none."""
        if self.schedule == "constant":
            return None
        return self.steps if self.decay_steps is None else self.decay_steps

    @property
    def decay_begin(self) -> int | None:
        """Step at which the decay begins; None if there is none, or it follows the warm-up."""
        if self.schedule != "wsd":
            return None
        assert self.decay_end is not None
        assert self.fraction_of_decay is not None
        return max(self.warmup_steps, round(self.decay_end * (1 - self.fraction_of_decay)))

    @property
    def fraction_of_decay(self) -> float | None:
        """`decay_fraction`, or what its help says; None if the schedule has none."""
        if self.schedule != "wsd":
            return None
        return _DECAY_FRACTION if self.decay_fraction is None else self.decay_fraction

    @property
    def lowest_learning_rate_ratio(self) -> float | None:
        """`min_learning_rate_ratio`, or what its help says; None if the rate is constant."""
        if self.schedule == "constant":
            return None
        ratio = self.min_learning_rate_ratio
        return _LOWEST_RATIO if ratio is None else ratio

    @property
    def weight_decay_rate(self) -> float | None:
        """`weight_decay`, or what its help says; None if the optimizer has none."""
        if self.optimizer not in ("adamw", "muon"):
            return None
        return _WEIGHT_DECAY if self.weight_decay is None else self.weight_decay

    def resolved_optimization(self) -> dict[str, Any]:
        """Returns what follows from other options where it is not given, for the identity."""
        return {
            "decay_steps": self.decay_end,
            "decay_fraction": self.fraction_of_decay,
            "min_learning_rate_ratio": self.lowest_learning_rate_ratio,
            "weight_decay": self.weight_decay_rate,
        }
