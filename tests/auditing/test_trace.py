"""Trace: the batch is the one that is trained on, and its passages are its text."""

from pathlib import Path

import numpy as np
import pytest
from corpora import prepared, text, write

from pipeline import Corpus, OptionError, UserError
from pipeline.auditing.passages import Passage
from pipeline.auditing.trace import trace, trace_lanes

OPTIONS = {"seq_len": 30, "stride": 11, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module", params=["byte", "char"])
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp(request.param)
    write(folder / "in/large.txt", text(5000))
    for index in range(60):
        write(folder / f"in/{index}.txt", text(100, seed=index + 1))
    options = {"vocabulary": request.param, "shard_bytes": 2000, "record_tokens": 70}
    return prepared(folder, str(folder / "in"), **options)


def text_of(corpus: Corpus, passages: tuple[Passage, ...]) -> str:
    """What stands in the sources."""
    parts = []
    for passage in passages:
        content = (Path(corpus.directory).parent / "in" / passage.source).read_bytes()
        parts.append(content[passage.start : passage.stop])
    return b"".join(parts).decode("utf-8", "replace")


@pytest.mark.parametrize("step", [0, 3, 1000])
def test_the_batch_is_the_one_that_is_trained_on(corpus: Corpus, step: int) -> None:
    inputs, targets = next(corpus.windows("train", **OPTIONS, start_step=step).as_numpy_iterator())
    tokens = np.concatenate([inputs, targets[:, -1:]], axis=1)
    traced = trace(corpus, "train", step=step, **OPTIONS)
    assert [window.text for window in traced] == [corpus.vocabulary.decode(row) for row in tokens]
    assert [window.row for window in traced] == list(range(8))
    assert [window.position for window in traced] == list(range(step * 8, step * 8 + 8))
    num_windows = corpus.num_windows("train", seq_len=30, stride=11)
    assert [window.epoch for window in traced] == [w.position // num_windows for w in traced]
    assert trace(corpus, "train", step=step, rows=[5], **OPTIONS) == [traced[5]]


def test_the_passages_are_the_text(corpus: Corpus) -> None:
    several = 0
    for step in range(20):
        for window in trace(corpus, "train", step=step, **OPTIONS):
            assert text_of(corpus, window.passages) == window.text.replace("\0", "")
            several += len(window.passages) > 1
    assert several > 10


@pytest.mark.parametrize("step", [0, 3, 17, 1000])
def test_lanes_are_the_ones_that_are_trained_on(corpus: Corpus, step: int) -> None:
    """Over the ends of shards, and round the ring."""
    rows = {"seq_len": 300, "batch_size": 8}
    batch = next(corpus.lanes("train", **rows, start_step=step).as_numpy_iterator())
    (inputs, _), targets = batch
    tokens = np.concatenate([inputs, targets[:, -1:]], axis=1)
    traced = trace_lanes(corpus, "train", step=step, **rows)
    assert [lane.text for lane in traced] == [corpus.vocabulary.decode(row) for row in tokens]
    num_tokens = corpus.splits["train"].num_tokens
    for row, lane in enumerate(traced):
        start = row * num_tokens // 8 + step * 300
        assert (lane.row, lane.round, lane.first_token) == (row, *divmod(start, num_tokens))
        assert text_of(corpus, lane.passages) == lane.text.replace("\0", "")
    assert trace_lanes(corpus, "train", step=step, rows=[5], **rows) == [traced[5]]


def test_arguments_out_of_range(corpus: Corpus) -> None:
    with pytest.raises(OptionError, match="`start_step` must be an integer of at least 0, got -1"):
        trace(corpus, "train", step=-1, **OPTIONS)
    with pytest.raises(OptionError, match=r"`row` must be in 0 … `batch_size` - 1, got 8 of 8"):
        trace(corpus, "train", step=0, rows=[8], **OPTIONS)
    with pytest.raises(OptionError, match="`batch_size` must be an integer of at least 1, got 0"):
        trace(corpus, "train", step=0, **{**OPTIONS, "batch_size": 0})
    with pytest.raises(UserError, match="no split 'test'"):
        trace(corpus, "test", step=0, **OPTIONS)
    with pytest.raises(UserError, match="has no window"):
        trace(corpus, "train", step=0, seq_len=10**6, batch_size=1)
    with pytest.raises(OptionError, match=r"`row` must be in 0 … `batch_size` - 1, got -1 of 8"):
        trace_lanes(corpus, "train", step=0, seq_len=30, batch_size=8, rows=[-1])
    with pytest.raises(UserError, match="no split 'test'"):
        trace_lanes(corpus, "test", step=0, seq_len=30, batch_size=8)
