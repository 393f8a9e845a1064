"""The quality of a shuffle: text order is seen as such, and our order is near a perfect one."""

from pathlib import Path

import numpy as np
import pytest
from corpora import TRAIN, prepared, write

from pipeline import Corpus
from pipeline.auditing.shuffle_quality import _buffered, _quality, measure

OPTIONS = {"seq_len": 16, "batch_size": 32}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder: Path = tmp_path_factory.mktemp("sources")
    for number in range(20):
        write(folder / f"in/{number:02}.txt", f"source {number} " * 4000)
    return prepared(folder, str(folder / "in"), splits=TRAIN)


def test_ours_is_near_perfect_where_a_small_buffer_is_not(corpus: Corpus) -> None:
    shuffle_bytes = 2**20  # two spans: the smallest useful group
    comparison = measure(corpus, "train", **OPTIONS, shuffle_bytes=2**22)
    assert comparison.num_positions == comparison.num_windows
    assert comparison.ours.median_distance > 0.3 * comparison.perfect.median_distance
    assert comparison.ours.same_batch < 10 * comparison.perfect.same_batch
    small = measure(corpus, "train", **OPTIONS, shuffle_bytes=shuffle_bytes)
    assert small.buffer_windows == shuffle_bytes // (2 * 16 * 4)
    assert small.ours.sources != comparison.ours.sources
    assert 1 <= small.ours.sources <= comparison.perfect.sources + 1


def test_the_order_of_the_text_is_seen_as_such() -> None:
    def source_of(windows: np.ndarray) -> np.ndarray:
        return windows // 100

    straight = _quality(np.arange(1000), 10, source_of)
    assert (straight.median_distance, straight.sources) == (1.0, 1.0)
    assert straight.same_batch == pytest.approx(0.9, abs=0.01)
    interleaved = _quality(np.arange(1000).reshape(10, 100).T.reshape(-1), 10, source_of)
    assert (interleaved.median_distance, interleaved.sources) == (10.0, 10.0)
    assert interleaved.same_batch == 0.0


def test_a_buffer_yields_every_window_once_and_near_its_place() -> None:
    generator = np.random.default_rng(0)
    windows = _buffered(5000, 5000, 100, generator)
    assert sorted(windows.tolist()) == list(range(5000))
    assert (windows - np.arange(5000)).max() < 100  # never ahead of the buffer
    assert _buffered(50, 50, 1, generator).tolist() == list(range(50))
