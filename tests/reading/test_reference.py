"""The reference windows are those of the docstring, and nothing else."""

from pathlib import Path

import pytest
from corpora import TRAIN, make, sliced_windows, text

from pipeline import reference_windows


def test_the_reference_is_the_arithmetic_of_the_docstring(tmp_path: Path) -> None:
    corpus = make(tmp_path, bytes(range(8)), record_tokens=2, splits=TRAIN)  # and a separator
    windows = reference_windows(corpus, "train", seq_len=3, stride=2).as_numpy_iterator()
    assert [tuple(window) for window in windows] == [(0, 1, 2, 3), (2, 3, 4, 5), (4, 5, 6, 7)]
    assert corpus.num_windows("train", seq_len=3, stride=2) == 3


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
@pytest.mark.parametrize(("seq_len", "stride"), [(3, None), (5, 2), (2, 4), (70, 1)])
def test_they_are_slices_of_each_shard(
    tmp_path: Path, vocabulary: str, seq_len: int, stride: int | None
) -> None:
    corpus = make(
        tmp_path, text(300), vocabulary=vocabulary, shard_bytes=64, record_tokens=7, splits=TRAIN
    )
    expected = sliced_windows(corpus, "train", seq_len=seq_len, stride=stride)
    windows = reference_windows(corpus, "train", seq_len=seq_len, stride=stride)
    assert [tuple(window) for window in windows.as_numpy_iterator()] == expected
    assert windows.element_spec.dtype.name == "int32"
