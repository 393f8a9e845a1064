"""Counts the windows of full batches in some seconds, and prints one line of JSON a geometry."""

import itertools
import json
import sys
import time

GEOMETRIES = [(40, 3, 128), (256, 256, 64), (1024, 1024, 32)]
text, seconds = sys.argv[1], float(sys.argv[2])


def report(make, wanted=GEOMETRIES):
    """Measures `make(seq_len, stride, batch_size)`, which returns an iterator of batches."""
    report_function(lambda *geometry: _consumer(make(*geometry)), wanted)


def _consumer(batches):
    return lambda steps: sum(1 for _ in itertools.islice(batches, steps))


def report_function(make, wanted=GEOMETRIES):
    """The same for a function of a number of steps that consumes as many batches."""
    for geometry in wanted:
        started = time.perf_counter()
        consume = make(*geometry)
        consume(1)
        first = time.perf_counter() - started
        consume(20)
        num_steps, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            consume(40)
            num_steps += 40
        rate = num_steps * geometry[2] / (time.perf_counter() - started)
        print(json.dumps([geometry, rate, first]), flush=True)
