"""Summary of a run: what it has made and what can be done with it, the last words of training."""

import shlex
from typing import Any

from pipeline.sizes import size_text, time_text


def summary_text(
    run: str,
    *,
    step: int,
    checkpoint: str,
    seconds: float,
    tokens_per_second: float,
    memory_bytes: int,
    best: dict[str, Any] | None,
    last: dict[str, Any] | None,
) -> str:
    """Returns the last lines that a run prints.

    Args:
        run: the run's directory, or its URI.
        step: steps that it has done.
        checkpoint: path prefix of its newest checkpoint.
        seconds: time that it has spent in training steps, over all its starts.
        tokens_per_second: input tokens over the time in training steps, since this start.
        memory_bytes: peak memory of this process.
        best: the entry of its metrics for the validation with the fewest bits a byte; None
            without any.
        last: the entry of its last validation, likewise.
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
            f"  textreel generate {name}",
            f"  textreel evaluate {name}",
            f"  textreel export {name} -o EXPORT",
            f"  textreel curves {name} -o curves.png",
            *([] if best is None or last is None else _overfitting(best, last)),
        ]
    )


def _overfitting(best: dict[str, Any], last: dict[str, Any]) -> list[str]:
    """Says when the validation stopped falling, in a line; nothing where it did not."""
    if last["step"] <= best["step"]:
        return []
    return [
        f"validation stopped falling at step {best['step']} ({best['bits_per_byte']:.4f} "
        f"bits/byte; {last['bits_per_byte']:.4f} at step {last['step']}): these commands take the "
        f"checkpoint of step {best['step']}"
    ]
