"""Log of a user's own, `--log_to MODULE:FUNCTION`: for MLflow, Weights & Biases and the like.

`FUNCTION(config)` is called once in each start of a run, with its `TrainConfig`, and returns what
is called then with a step and the figures that were measured there, by TensorBoard's names:
`log(500, {"train/loss": 1.9, …})`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import UserError, first_line
from trainer.config import TrainConfig
from trainer.own_code import load_function, type_text


class OwnLog:
    """What the user's function returned, and what becomes of its errors.

    An error of the function ends the start. One of what it returned does not end a run of days:
    it is said, once until a call works again, and the run goes on.

    Args:
        config: the run's options; `log_to` names the function.
        tell: shows a text.

    Raises:
        UserError: there is no such function, it fails, or returns nothing that can be called.
    """

    def __init__(self, config: TrainConfig, tell: Callable[[str], None]) -> None:
        assert config.log_to is not None
        self._name, self._tell = config.log_to, tell
        self._is_failing = False
        function = load_function(config.log_to, "log_to")
        try:
            log = function(config)
        except Exception as error:  # a user's own code may raise anything
            raise UserError(
                f"`log_to` {self._name}: the function failed ({type(error).__name__}: "
                f"{first_line(error)}); mend it, or leave --log_to out"
            ) from error
        if not callable(log):
            raise UserError(
                f"`log_to` {self._name} must return what can be called with a step and figures, "
                f"got {type_text(log)}; return a function"
            )
        self._log: Callable[[int, dict[str, float]], Any] = log

    def __call__(self, kind: str, step: int, figures: Mapping[str, float]) -> None:
        """Hands figures on.

        Args:
            kind: `train` or `validation`, which their names begin with.
            step: the step that they belong to.
            figures: name -> value.
        """
        try:
            self._log(step, {f"{kind}/{name}": float(value) for name, value in figures.items()})
        except Exception as error:  # a user's own code may raise anything
            if not self._is_failing:
                self._tell(
                    f"--log_to {self._name} failed at step {step:,} ({type(error).__name__}: "
                    f"{first_line(error)}); training goes on, and metrics.jsonl has all figures"
                )
            self._is_failing = True
        else:
            self._is_failing = False
