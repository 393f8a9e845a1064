"""Groups in memory: the next one is read while one is used, and there is never a third."""

import threading
import weakref

import numpy as np

from pipeline.reading.arrays.groups import Arrays, Loaded, gather_rows, places_of
from pipeline.reading.batches import Batching
from pipeline.reading.order import Order


def test_the_next_group_is_read_meanwhile_and_no_third() -> None:
    """Of a group whose rows are all gathered, nothing is kept once the next one is there."""
    order = Order(num_windows=10_000, group_spans=8, span_windows=20, seed=1)
    assert order.num_groups > 10
    begun: list[threading.Event] = [threading.Event() for _ in range(100)]
    contents: list[weakref.ref[np.ndarray]] = []
    most_alive = 0

    def load(first_windows: np.ndarray, num_windows: np.ndarray) -> Loaded:
        nonlocal most_alive
        begun[sum(event.is_set() for event in begun)].set()
        ascending = np.argsort(first_windows, kind="stable")
        first, count = first_windows[ascending], num_windows[ascending]
        content = np.concatenate([np.arange(a, a + n) for a, n in zip(first, count, strict=True)])
        contents.append(weakref.ref(content))
        most_alive = max(most_alive, sum(found() is not None for found in contents))
        return Loaded(first, places_of(count), content)

    def gather(content: np.ndarray, place: np.ndarray) -> Arrays:
        return (content[place],)

    rows = gather_rows(
        order,
        Batching(batch_size=4),
        start_row=0,
        stop_row=None,
        row_bytes=2**17,  # a few rows at a time
        load=load,
        gather=gather,
    )
    found: list[int] = []
    found += next(rows)[0].tolist()
    group_windows = int(order.group(0).num_windows)
    assert len(found) < group_windows
    assert begun[1].wait(10)  # with nothing more taken
    assert not begun[2].wait(0.1)
    while len(found) < 2000:
        found += next(rows)[0].tolist()
    positions = np.arange(len(found))
    np.testing.assert_array_equal(np.array(found) % 10_000, order.windows(positions))
    assert sum(event.is_set() for event in begun) <= len(found) // group_windows + 2
    assert most_alive == 2
