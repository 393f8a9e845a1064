"""Engines: what computes `[function(task, advance) for task in tasks]`, and where.

An engine is anything with the signature of `Engine`; preparing knows nothing else of them.
Functions are importable and idempotent, tasks and results are picklable: an engine may call a
function in other processes, on other machines, and more than once for the same task.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
Advance = Callable[[int], None]  # is told how many more bytes are done


class Engine(Protocol):
    """Runs tasks: `engines.local.run` and `engines.beam.run`, their own options bound."""

    def __call__(
        self,
        function: Callable[[Task, Advance], Result],
        tasks: Sequence[Task],
        *,
        advance: Advance,
    ) -> list[Result]:
        """Returns the results in the order of the tasks.

        Raises:
            UserError, OSError: what `function` raised, as it was raised.
        """
