"""cache: batches from a store are those from a disk, whatever the cache keeps, loses or lacks."""

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import storage
import tensorflow as tf

from pipeline import Corpus, open_corpus
from pipeline.files import put_file

WINDOWS: dict[str, Any] = {"seq_len": 8, "batch_size": 4, "stride": 5, "span_tokens": 64}


def rows(corpus: Corpus, count: int = 30, **changes: Any) -> list[np.ndarray]:
    dataset = corpus.windows("train", **{**WINDOWS, "seed": 3, **changes})
    return [np.stack(batch) for batch in itertools.islice(dataset.as_numpy_iterator(), count)]


def put(directory: str, uri: str) -> str:
    for path in Path(directory).iterdir():
        if path.is_file():
            put_file(path, f"{uri}/{path.name}")
    return uri


@pytest.fixture
def stored(s3: storage.Store, char_corpus: Corpus) -> str:
    return put(char_corpus.directory, s3.new_bucket() + "/corpus")


def test_batches_from_a_store_are_those_from_a_disk(
    stored: str, char_corpus: Corpus, tmp_path: Path
) -> None:
    corpus = open_corpus(stored, cache_dir=tmp_path)
    for changes in ({}, {"seed": None}, {"start_step": 7, "host_index": 1, "host_count": 2}):
        np.testing.assert_array_equal(rows(corpus, **changes), rows(char_corpus, **changes))
    lanes = [
        list(itertools.islice(each.lanes("train", seq_len=8, batch_size=4).as_numpy_iterator(), 9))
        for each in (corpus, char_corpus)
    ]
    for first, second in zip(*map(tf.nest.flatten, lanes), strict=True):
        np.testing.assert_array_equal(first, second)
    assert os.listdir(corpus.shard_files("train", WINDOWS_OF, read_ahead=1).fetcher.folder) == []
