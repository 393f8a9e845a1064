"""What a training run shows: a bar on a terminal, plain lines elsewhere, messages between.

Messages and log records go through the bar, which is cleared for them and drawn again
below: nothing is overwritten half-way.
"""

import contextlib
import sys
from collections.abc import Iterator

from absl import logging as absl_logging
from tqdm import tqdm


class _ThroughBar:
    """A stream for log handlers that writes whole lines above the bar, to stderr."""

    def write(self, text: str) -> int:
        if text.strip():
            tqdm.write(text.rstrip("\n"), file=sys.stderr)
        return len(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Progress:
    """The progress of a run of `num_steps` steps. The bar is on stderr, messages on stdout.

    Args:
        num_steps: steps of the whole run.
        start_step: steps done before this process started.
        quiet: shows nothing at all.
    """

    def __init__(self, *, num_steps: int, start_step: int, quiet: bool = False) -> None:
        self._num_steps = num_steps
        self._quiet = quiet
        self._bar = None
        self._has_bar = not quiet and sys.stderr.isatty()
        if self._has_bar:
            self._bar = tqdm(
                total=num_steps,
                initial=start_step,
                unit="step",
                dynamic_ncols=True,
                bar_format="step {n_fmt}/{total_fmt} |{bar}| {desc}[{elapsed}<{remaining}]",
            )

    def update(
        self, step: int, *, loss: float, tokens_per_second: float, seconds_left: float
    ) -> None:
        """Shows how far the run is.

        Args:
            step: steps done.
            loss: mean training loss since the last update, nats a token.
            tokens_per_second: rate since the last update.
            seconds_left: remaining time at that rate.
        """
        if self._bar is not None:
            self._bar.set_description_str(
                f"loss {loss:.4f}, {tokens_per_second:,.0f} tokens/s ", refresh=False
            )
            self._bar.n = step
            self._bar.refresh()
        elif not self._quiet:
            print(
                f"step {step}/{self._num_steps}  loss {loss:.4f}  "
                f"{tokens_per_second:,.0f} tokens/s  {seconds_left:,.0f} s left",
                file=sys.stderr,
                flush=True,
            )

    def message(self, text: str) -> None:
        """Prints a text of whole lines above the bar."""
        if self._quiet:
            return
        if self._bar is None:
            print(text, flush=True)
        else:
            tqdm.write(text)

    def close(self) -> None:
        """Ends the bar; messages still print."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextlib.contextmanager
def logging_through_bar() -> Iterator[None]:
    """Sends absl's log records through the bar while the context lasts."""
    handler = absl_logging.get_absl_handler().python_handler
    stream = handler.stream
    handler.setStream(_ThroughBar())
    try:
        yield
    finally:
        handler.setStream(stream)
