"""Lanes as NumPy arrays: those of the graph."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import prepared, write_many

from pipeline import Corpus, OptionError


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("lanes")
    source = write_many(folder / "text", num_files=20, large=3000)
    return prepared(folder, source, shard_bytes=700, record_tokens=16, splits={"train": 1.0})


def test_lanes_are_those_of_the_graph(corpus: Corpus) -> None:
    """For more than a round, after which the lanes begin anew."""
    options: dict[str, Any] = {"seq_len": 20, "batch_size": 6, "start_step": 30}
    options |= {"host_index": 1, "host_count": 2}
    num_steps = corpus.splits["train"].num_tokens // (options["seq_len"] * options["batch_size"])
    ours, theirs = (
        list(itertools.islice(batches, num_steps + 20))
        for batches in (
            corpus.lane_batches("train", **options),
            corpus.lanes("train", **options).as_numpy_iterator(),
        )
    )
    for one, other in zip(ours, theirs, strict=True):
        for array, expected in zip((*one[0], one[1]), (*other[0], other[1]), strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)
    assert any(resets.any() for (_, resets), _ in ours)


def test_too_many_lanes_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="`batch_size` times `seq_len` must be at most"):
        corpus.lane_batches("train", seq_len=1000, batch_size=1000)
