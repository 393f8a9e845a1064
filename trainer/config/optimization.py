"""How a run's weights are updated."""

import dataclasses

from trainer.config.option import check_int, check_number, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizationOptions:
    """The optimizer and its course."""

    steps: int = option(
        "steps of the whole run (a resumed one included)", default=2000, parse=int, identity=False
    )
    learning_rate: float = option("step size of Adam", default=2e-3, parse=float)
    clip_norm: float = option(
        "largest global norm of the gradients; 0 turns clipping off", default=1.0, parse=float
    )

    def check_optimization(self) -> None:
        """Refuses what breaks a rule.

        Raises:
            OptionError: an option does.
        """
        check_int(self, 1, "steps")
        check_number("learning_rate", self.learning_rate, "above 0", self.learning_rate > 0)
        check_number(
            "clip_norm", self.clip_norm, "at least 0 (0 turns clipping off)", self.clip_norm >= 0
        )
