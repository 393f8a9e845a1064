"""The report on a shuffle: text order is seen as such, and our order is near a perfect one."""

import numpy as np
import pytest

from pipeline import PrepareOptions, open_corpus, prepare
from pipeline.auditing.shuffle_quality import _buffered, measure
from pipeline.cli import build_parser

OPTIONS = {"seq_len": 16, "batch_size": 32}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    for number in range(20):
        (folder / f"{number:02}.txt").write_text(f"source {number} " * 4000)
    prepare([folder], folder / "corpus", PrepareOptions(splits={"train": 1.0}))
    return open_corpus(folder / "corpus")


def test_ours_is_near_perfect_where_a_small_buffer_is_not(corpus):
    shuffle_bytes = 2**20  # two spans: the smallest useful group
    report = measure(corpus, "train", **OPTIONS, shuffle_bytes=2**22)
    assert report.num_positions == report.num_windows
    assert report.ours.median_distance > 0.3 * report.perfect.median_distance
    assert report.ours.same_batch < 10 * report.perfect.same_batch
    small = measure(corpus, "train", **OPTIONS, shuffle_bytes=shuffle_bytes)
    assert small.buffer_windows == shuffle_bytes // (2 * 16 * 4)
    assert small.ours.sources != report.ours.sources
    assert 1 <= small.ours.sources <= report.perfect.sources + 1


def test_a_buffer_yields_every_window_once_and_near_its_place():
    generator = np.random.default_rng(0)
    windows = _buffered(5000, 5000, 100, generator)
    assert sorted(windows.tolist()) == list(range(5000))
    assert (windows - np.arange(5000)).max() < 100  # never ahead of the buffer
    assert _buffered(50, 50, 1, generator).tolist() == list(range(50))


def test_the_command_prints_the_table(corpus, capsys):
    arguments = ["inspect", corpus.directory, "--shuffle", "--seq_len", "16"]
    parsed = build_parser().parse_args(arguments)
    parsed.run(parsed)
    printed = capsys.readouterr().out
    report = measure(corpus, "train", seq_len=16, batch_size=64)
    assert f"{report.ours.median_distance:,.0f}" in printed
    assert f"a buffer of {report.num_windows:,}" in printed
    assert "neighbours in one batch" in printed
