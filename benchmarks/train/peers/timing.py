"""What every peer shares: the sizes of the model, windows of the text, and the clock.

Needs nothing but NumPy, so that it runs in every peer's environment. The arguments are the file
of ids (one byte each), their number, the seconds to measure, and the peer's own.
"""

import json
import sys
import time

import numpy as np

EMBEDDING, UNITS, SEQ_LEN, BATCH, LEARNING_RATE = 64, 256, 64, 64, 2e-3
WARM_UP_STEPS = 30

ids = np.memmap(sys.argv[1], np.uint8, "r")
vocabulary_size, seconds = int(sys.argv[2]), float(sys.argv[3])
options = sys.argv[4:]
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
    rate = num_steps * BATCH * SEQ_LEN / elapsed
    print(json.dumps({"tokens_per_second": rate, "loss": loss}), flush=True)
