"""Progress of work that is counted in bytes, or in nothing but time."""

from tqdm.auto import tqdm

tqdm.monitor_interval = 0  # no thread of tqdm's own: engines.local forks where there are none


def progress_bar(title: str, num_bytes: int, shown: bool) -> "tqdm[None]":
    """A bar with rate and remaining time on standard error; `update(n)` moves it n bytes on."""
    return tqdm(
        desc=title, total=num_bytes, unit="B", unit_scale=True, unit_divisor=1000, disable=not shown
    )


def progress_clock(title: str, shown: bool) -> "tqdm[None]":
    """A clock on standard error, for work that cannot be counted; `refresh()` shows its time."""
    return tqdm(desc=title, bar_format="{desc}: {elapsed}", disable=not shown)
