"""Progress of work that is counted in bytes, or in nothing but time."""

import shutil
import sys
from typing import Any

import tqdm.auto
import tqdm.std

# No thread of tqdm's own, nor of TFDS's bars: engines.local forks where there are none.
tqdm.std.tqdm.monitor_interval = 0


class Bar(tqdm.auto.tqdm):
    """A bar that is seen on a terminal that does not tell its size, too.

    It is 0 where nobody has set it, as under `docker exec -t`, `expect` or a service that runs
    commands. tqdm takes one off, and draws nothing.
    """

    nrows: Any  # tqdm's

    def display(self, *arguments: Any, **named: Any) -> Any:
        """Draws."""
        if (self.nrows or 0) < 0:
            self.nrows = None
        return super().display(*arguments, **named)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What is drawn."""
        values: dict[str, Any] = super().format_dict
        if isinstance(columns := values["ncols"], int) and columns <= 0:
            values["ncols"] = shutil.get_terminal_size().columns - 1
        return values


def can_show_bars() -> bool:
    """Whether somebody looks at bars: on a terminal, or in a notebook, which draws its own."""
    return sys.stderr.isatty() or any(base.__name__ == "tqdm_notebook" for base in Bar.__mro__)


def progress_bar(title: str, num_bytes: int, shown: bool) -> Any:
    """A bar with rate and remaining time on standard error; `update(n)` moves it n bytes on."""
    return Bar(
        desc=title, total=num_bytes, unit="B", unit_scale=True, unit_divisor=1000, disable=not shown
    )


def progress_clock(title: str, shown: bool) -> Any:
    """A clock on standard error, for work that cannot be counted; `refresh()` shows its time."""
    return Bar(desc=title, bar_format="{desc}: {elapsed}", disable=not shown)
