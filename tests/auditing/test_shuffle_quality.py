"""The quality of a shuffle: text order is seen as such, and our order is as a perfect one."""

from pathlib import Path

import numpy as np
import pytest
from corpora import TRAIN, prepared, write

from pipeline import Corpus, OptionError
from pipeline.auditing.shuffle_quality import _buffered, _Look, measure

# Groups of 1,920 spans, about a quarter of the split.
OPTIONS = {"seq_len": 16, "batch_size": 48, "span_tokens": 512, "shuffle_bytes": 4 * 2048 * 512}


def corpus_of(folder: Path, num_sources: int) -> Corpus:
    for number in range(num_sources):
        write(folder / f"in/{number:02}.txt", f"source {number} " * (400_000 // num_sources))
    return prepared(folder, str(folder / "in"), splits=TRAIN, record_tokens=64)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Two sources end to end."""
    return corpus_of(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Twenty of them."""
    return corpus_of(tmp_path_factory.mktemp("twenty"), 20)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("sources", ["two", "twenty"])
def test_batches_are_composed_as_those_of_a_perfect_shuffle(
    request: pytest.FixtureRequest, sources: str, seed: int
) -> None:
    comparison = measure(request.getfixturevalue(sources), "train", **OPTIONS, seed=seed)
    assert comparison.num_positions > 0.95 * comparison.num_windows
    # The end is but 300 batches of one group, whose own composition they show.
    for quality, tolerance in ((comparison.ours, 0.1), (comparison.our_end, 0.25)):
        assert quality.variance == pytest.approx(1, abs=tolerance)
        assert quality.autocorrelation < comparison.unavoidable + tolerance / 2
        chance = quality.expected_same_batch
        assert quality.same_batch <= chance + 3 * chance**0.5
        assert quality.sources == pytest.approx(comparison.perfect.sources, rel=0.02)
    assert comparison.unavoidable < 0.03
    assert comparison.perfect.variance == pytest.approx(1, abs=0.07)
    # The peer of the same memory sees an eighth of the split at once.
    assert comparison.buffer.variance > 5
    assert comparison.buffer.autocorrelation > 0.5


def test_a_host_reads_its_part_of_the_bytes(two: Corpus) -> None:
    shares = measure(two, "train", **OPTIONS).host_bytes
    assert set(shares) == {1, 2, 3, 4, 8}
    for host_count, share in shares.items():
        assert share <= 1.15 / host_count
        assert share > 0.99 / host_count


def test_a_small_group_is_said_to_be_worse(two: Corpus) -> None:
    small = measure(two, "train", **{**OPTIONS, "shuffle_bytes": 4 * 64 * 512})
    assert small.unavoidable > 0.3
    assert small.ours.autocorrelation > 0.2


def test_fewer_windows_than_a_batch_are_refused(two: Corpus) -> None:
    with pytest.raises(OptionError, match=r"`batch_size` must be at most the .* windows"):
        measure(two, "train", **{**OPTIONS, "batch_size": 10**7})


def test_the_order_of_the_text_is_seen_as_such() -> None:
    class Sources:
        num_sources = 10

        def __call__(self, windows: np.ndarray) -> np.ndarray:
            return windows // 100

    look = _Look(Sources(), 1000, 10)
    straight = look(np.arange(1000), 1)
    assert (straight.median_distance, straight.sources) == (1.0, 1.0)
    assert straight.same_batch == 900
    assert straight.expected_same_batch == 9
    assert straight.variance == pytest.approx(10, rel=0.02)
    interleaved = look(np.arange(1000).reshape(10, 100).T.reshape(-1), 1)
    assert (interleaved.median_distance, interleaved.sources) == (10.0, 10.0)
    assert (interleaved.same_batch, interleaved.variance) == (0, 0.0)


def test_a_buffer_yields_every_window_once_and_near_its_place() -> None:
    generator = np.random.default_rng(0)
    windows = _buffered(5000, 5000, 100, generator)
    assert sorted(windows.tolist()) == list(range(5000))
    assert (windows - np.arange(5000)).max() < 100  # never ahead of the buffer
    assert _buffered(50, 50, 1, generator).tolist() == list(range(50))
