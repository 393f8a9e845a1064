"""What the peers share: their options, windows of the text, and the clock. Needs NumPy alone."""

import json
import sys
import time

import numpy as np

options = json.loads(sys.argv[1])
_ids = np.memmap(options["ids"], np.uint8, "r")
_windows = np.lib.stride_tricks.sliding_window_view(_ids, options["seq_len"] + 1)
_windows = _windows[:: options["seq_len"]]
_random = np.random.default_rng(0)


def batch(dtype):
    """Inputs and targets, `[batch_size, seq_len]`, of windows drawn at random."""
    rows = _windows[_random.integers(len(_windows), size=options["batch_size"])].astype(dtype)
    return rows[:, :-1], rows[:, 1:]


def report(step, finish, memory_bytes, steps=10):
    """Measures `step()`, which trains on one batch; `finish` waits for what was begun."""
    for _ in range(steps):
        step()
    finish()
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < options["seconds"]:
        for _ in range(steps):
            step()
        finish()
        count += steps
    rate = count * options["batch_size"] * options["seq_len"] / (time.perf_counter() - began)
    found = {"tokens_per_second": rate, "memory_bytes": memory_bytes()}
    print(json.dumps(found), flush=True)
