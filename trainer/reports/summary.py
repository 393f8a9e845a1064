"""What a run has made and what can be done with it: the last words of `textreel train`."""

import shlex
from typing import Any

from pipeline.sizes import size_text, time_text


def summary(
    run: str,
    *,
    step: int,
    checkpoint: str,
    seconds: float,
    tokens_per_second: float,
    memory_bytes: int,
    best: dict[str, Any] | None,
) -> str:
    """Returns the end of a run's story, lines for a terminal.

    Args:
        run: the run's directory, or its URI.
        step: steps that it has behind it.
        checkpoint: path prefix of its newest checkpoint.
        seconds: time that it has spent in training steps, over all its starts.
        tokens_per_second: input tokens over that time, since this start.
        memory_bytes: peak memory of this process.
        best: of its validations the one of the fewest bits a byte, a row of its metrics; None
            without any.
    """
    lines = [
        f"trained {run} to step {step} in {time_text(seconds)} ({tokens_per_second:,.0f} "
        f"tokens/s), peak memory {size_text(memory_bytes)}"
    ]
    if best is not None:
        lines.append(f"best validation: {best['bits_per_byte']:.4f} bits/byte, step {best['step']}")
    name = shlex.quote(run)
    return "\n".join(
        [
            *lines,
            f"newest checkpoint: {checkpoint}",
            "next:",
            f"  textreel generate --run {name}",
            f"  textreel evaluate {name}",
            f"  textreel export {name} --output EXPORT",
            f"  textreel curves {name} --output curves.png",
        ]
    )
