import json

import numpy as np
import pytest
from corpora import text, write
from test_cli import textreel

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.trace import trace, trace_lanes

OPTIONS = {"seq_len": 30, "stride": 11, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module", params=["byte", "char"])
def corpus(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    write(folder / "in/large.txt", text(5000))
    for index in range(60):
        write(folder / f"in/{index}.txt", text(100, seed=index + 1))
    options = PrepareOptions(vocabulary=request.param, shard_bytes=2000, record_tokens=70)
    prepare([folder / "in"], folder / "out", options)
    return open_corpus(folder / "out")


@pytest.mark.parametrize("step", [0, 3, 1000])
def test_the_batch_is_the_one_that_is_trained_on(corpus, step):
    inputs, targets = next(corpus.windows("train", **OPTIONS, start_step=step).as_numpy_iterator())
    tokens = np.concatenate([inputs, targets[:, -1:]], axis=1)
    traced = trace(corpus, "train", step=step, **OPTIONS)
    assert [window.text for window in traced] == [corpus.vocabulary.decode(row) for row in tokens]
    assert [window.row for window in traced] == list(range(8))
    assert trace(corpus, "train", step=step, rows=[5], **OPTIONS) == [traced[5]]


def test_the_passages_are_the_text(corpus, tmp_path_factory):
    folder = f"{corpus.directory}/../in"
    several = 0
    for step in range(20):
        for window in trace(corpus, "train", step=step, **OPTIONS):
            parts = []
            for passage in window.passages:
                with open(f"{folder}/{passage.source}", "rb") as file:
                    parts.append(file.read()[passage.start : passage.stop])
            found = b"".join(parts).decode("utf-8", "replace")
            assert found == window.text.replace("\0", "")
            several += len(parts) > 1
    assert several > 10


@pytest.mark.parametrize("step", [0, 3, 17, 1000])
def test_lanes_are_the_ones_that_are_trained_on(corpus, step):
    """Over the ends of shards, and round the ring."""
    folder, rows = f"{corpus.directory}/../in", {"seq_len": 300, "batch_size": 8}
    batch = next(corpus.lanes("train", **rows, start_step=step).as_numpy_iterator())
    (inputs, _), targets = batch
    tokens = np.concatenate([inputs, targets[:, -1:]], axis=1)
    traced = trace_lanes(corpus, "train", step=step, **rows)
    assert [lane.text for lane in traced] == [corpus.vocabulary.decode(row) for row in tokens]
    num_tokens = corpus.splits["train"].num_tokens
    for row, lane in enumerate(traced):
        start = row * num_tokens // 8 + step * 300
        assert (lane.row, lane.round, lane.first_token) == (row, *divmod(start, num_tokens))
        parts = []
        for passage in lane.passages:
            with open(f"{folder}/{passage.source}", "rb") as file:
                parts.append(file.read()[passage.start : passage.stop])
        assert b"".join(parts).decode("utf-8", "replace") == lane.text.replace("\0", "")
    assert trace_lanes(corpus, "train", step=step, rows=[5], **rows) == [traced[5]]


def test_arguments_out_of_range(corpus):
    with pytest.raises(OptionError, match="`step` must be at least 0, not -1"):
        trace(corpus, "train", step=-1, **OPTIONS)
    with pytest.raises(OptionError, match=r"`row` must be in 0 … `batch_size` - 1: 8 of 8"):
        trace(corpus, "train", step=0, rows=[8], **OPTIONS)
    with pytest.raises(OptionError, match="`batch_size` must be at least 1, not 0"):
        trace(corpus, "train", step=0, **{**OPTIONS, "batch_size": 0})
    with pytest.raises(UserError, match="no split 'test'"):
        trace(corpus, "test", step=0, **OPTIONS)
    with pytest.raises(UserError, match="has no window"):
        trace(corpus, "train", step=0, seq_len=10**6, batch_size=1)


def test_the_command(corpus, tmp_path):
    flags = [f"--{name}={value}" for name, value in OPTIONS.items()]
    result = textreel("trace", corpus.directory, "--step", 4, "--row", 2, *flags)
    assert result.returncode == 0, result.stderr
    (window,) = trace(corpus, "train", step=4, rows=[2], **OPTIONS)
    passage = window.passages[0]
    assert f"{passage.source} bytes {passage.start}-{passage.stop - 1}" in result.stdout
    assert repr(window.text) in result.stdout

    config = {**OPTIONS, "corpus": corpus.directory, "train_split": "train", "units": 8}
    config["lanes"] = False
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert textreel("trace", "--run", tmp_path, "--step", 4, "--row", 2).stdout == result.stdout
    assert textreel("trace", "--step", 4).returncode == 2

    (lane,) = trace_lanes(corpus, "train", step=4, rows=[2], seq_len=30, batch_size=8)
    flags = ["--lanes", "--seq_len=30", "--batch_size=8"]
    result = textreel("trace", corpus.directory, "--step", 4, "--row", 2, *flags)
    assert f"row 2 (round {lane.round}, token {lane.first_token} of the split)" in result.stdout
    assert repr(lane.text) in result.stdout
    (tmp_path / "config.json").write_text(json.dumps({**config, "lanes": True}))
    assert textreel("trace", "--run", tmp_path, "--step", 4, "--row", 2).stdout == result.stdout
    assert textreel("trace", "--run", tmp_path / "absent", "--step", 4).returncode == 1
