"""The reference windows are those of the docstring, and nothing else."""

from pathlib import Path

import pytest
import storage
from corpora import TRAIN, make, sliced_windows, text

from pipeline import open_corpus, reference_windows
from pipeline.files import put_file


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


def test_a_corpus_in_a_store_is_read_through_its_cache(s3: storage.Store, tmp_path: Path) -> None:
    local = make(
        tmp_path, text(300), vocabulary="char", shard_bytes=64, record_tokens=7, splits=TRAIN
    )
    uri = f"{s3.new_bucket()}/corpus"
    for path in sorted((tmp_path / "corpus").iterdir()):
        put_file(path, f"{uri}/{path.name}")
    stored = open_corpus(uri, cache_dir=tmp_path / "cache", cache_bytes=0)
    windows = [
        [tuple(each) for each in reference_windows(corpus, "train", seq_len=5).as_numpy_iterator()]
        for corpus in (stored, local)
    ]
    assert windows[0] == windows[1] != []
    assert any(tmp_path.glob("cache/*"))
