"""What every peer shares: the sizes of the model, windows of the text, and the clock.

Needs nothing but NumPy, so that it runs in every peer's environment. The arguments are the file
of ids (one byte each, two where there are more than 256), their number, the seconds to measure, and
the peer's own: words, and flags of `textreel train`.
"""

import json
import resource
import sys
import time

import numpy as np

EMBEDDING, LEARNING_RATE = 64, 2e-3
WARM_UP_STEPS = 30

vocabulary_size, seconds = int(sys.argv[2]), float(sys.argv[3])
options = sys.argv[4:]
flags = dict(option[2:].split("=") for option in options if option.startswith("--"))
UNITS, SEQ_LEN, BATCH = (
    int(flags.get(name, default))
    for name, default in (("units", 256), ("seq_len", 64), ("batch_size", 64))
)
ids = np.memmap(sys.argv[1], np.uint8 if vocabulary_size <= 256 else np.uint16, "r")
_windows = np.lib.stride_tricks.sliding_window_view(ids, SEQ_LEN + 1)[::SEQ_LEN]
_random = np.random.default_rng(0)


def batch(dtype):
    """Inputs and targets, `[BATCH, SEQ_LEN]`, of windows drawn at random."""
    rows = _windows[_random.integers(len(_windows), size=BATCH)].astype(dtype)
    return rows[:, :-1], rows[:, 1:]


def report(step, finish=lambda loss: float(loss), steps=10):
    """Measures `step()`, which trains on one batch; `finish` waits for its result."""
    for _ in range(WARM_UP_STEPS):
        loss = step()
    finish(loss)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(steps):
            loss = step()
        finish(loss)
        count += steps
    show(count, time.perf_counter() - began, finish(loss))


def show(num_steps, elapsed, loss):
    """Prints what the benchmark reads."""
    result = {
        "tokens_per_second": num_steps * BATCH * SEQ_LEN / elapsed,
        "loss": loss,
        "gigabytes": peak_gigabytes(resource.RUSAGE_SELF),
    }
    print(json.dumps(result), flush=True)


def peak_gigabytes(whose):
    """The largest resident set: of this process, or of the largest of those it has waited for."""
    return resource.getrusage(whose).ru_maxrss * 1024 / 1e9
