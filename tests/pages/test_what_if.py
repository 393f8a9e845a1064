"""The page of `plan --what_if`: its numbers are those of the corpus that is made afterwards."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import text, write
from markup import Tags, check_figures, fetched

from pipeline import OptionError, PrepareOptions, open_corpus, prepare
from pipeline.auditing.costs.epochs import requests_of_epoch
from pipeline.auditing.estimate import Estimate, SplitEstimate, estimate
from pipeline.commands.plan import WhatIf
from pipeline.preparing.plan import make_plan
from pipeline.reading.arrays.spans import ShardReader
from pipeline.reading.geometry import Windows
from pipeline.text.sources import find_sources
from trainer.cli import build_parser
from trainer.pages.what_if import epoch_requests, input_memory, windows_at

OPTIONS = PrepareOptions(shard_bytes=100_000, record_tokens=500, splits={"train": 1.0})
WINDOWS = Windows(seq_len=100, stride=50)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("what_if")
    write(folder / "TEXT", text(1_000_000))
    return folder


@pytest.fixture(scope="module")
def asked(folder: Path) -> WhatIf:
    plan = make_plan(find_sources([str(folder / "TEXT")]).sources, OPTIONS)
    result = estimate(plan, OPTIONS, workers=1, windows=WINDOWS)
    assert result.is_exact
    return WhatIf(estimate=result, record_tokens=500, windows=WINDOWS, batch_size=96, hosts=2)


def split_of(asked: WhatIf) -> SplitEstimate:
    return asked.estimate.splits["train"]


def test_its_numbers_are_those_of_the_corpus(
    folder: Path, asked: WhatIf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows at other strides, and the bytes of a group that each number of hosts reads."""
    prepare([folder / "TEXT"], folder / "corpus", OPTIONS, workers=1)
    corpus, split = open_corpus(folder / "corpus"), split_of(asked)
    assert split.shard_tokens == tuple(shard.num_tokens for shard in corpus.splits["train"].shards)
    for stride in (100, 50, 25, 13):
        expected = corpus.num_windows("train", seq_len=100, stride=stride)
        assert windows_at(asked, split, stride) == expected
    read: list[int] = []
    real = ShardReader.load

    def load(self: ShardReader, first: np.ndarray, count: np.ndarray) -> Any:
        loaded = real(self, first, count)
        read.append(loaded.content.nbytes)
        return loaded

    monkeypatch.setattr(ShardReader, "load", load)
    found = {}
    for hosts in (1, 2, 8, 32):
        read.clear()
        batches = corpus.batches("train", seq_len=100, stride=50, batch_size=96, host_count=hosts)
        inputs, targets = next(iter(batches))
        memory = input_memory(asked, split, hosts=hosts)
        # Where a shard ends inside a span, its last windows are read twice.
        assert memory.group_bytes <= read[0] <= memory.group_bytes * 1.02
        assert memory.batch_bytes == inputs.nbytes + targets.nbytes
        found[hosts] = memory.group_bytes
    assert found[1] > 1.5 * found[2] > 1.5 * found[8] > 1.5 * found[32]


def test_requests_are_those_of_the_plan(asked: WhatIf) -> None:
    split = split_of(asked)
    expected = requests_of_epoch(
        split.shard_tokens, WINDOWS, itemsize=1, record_tokens=500, hosts=8
    )
    assert epoch_requests(asked, split, hosts=8) == expected


def page_of(folder: Path, *arguments: str) -> str:
    command = ["plan", str(folder / "TEXT"), "--shard_bytes", "100000", "--seq_len", "100"]
    command += ["--splits", "train=1", "--batch_size", "96", *arguments]
    parsed = build_parser().parse_args([*command, "--what_if", str(folder / "page.html")])
    parsed.run(parsed)
    return (folder / "page.html").read_text()


def test_the_page_is_whole_and_says_what_it_cannot_know(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = page_of(folder, "--hosts", "5")
    assert f"wrote {folder / 'page.html'}, " in capsys.readouterr().out
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert "script" not in tags.seen
    assert sorted(tags.ids) == sorted(set(tags.ids))
    assert len(page) < 300_000
    assert fetched(page) == []
    assert check_figures(page) == 4
    assert "A plan cannot know how fast a model trains" in page
    assert "which cannot share the batch equally" in page
    tables = [
        re.findall(r"<bdi>(.*?)</bdi>", row)
        for row in re.findall(r"<tr>(.*?)</tr>", html.unescape(page), re.DOTALL)
    ]
    num_windows = sum((tokens - 101) // 100 + 1 for tokens in shard_tokens(folder))
    requests = [row for row in tables if row and re.fullmatch(r"[\d,]+, .* [kM]?B", row[-1])]
    assert [row[0] for row in requests] == [str(n) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)]
    assert [row[3].partition(",")[0] for row in requests] == [row[0] for row in requests]
    assert ["96 (asked)", f"{num_windows / 96:,.1f}"] in [row[:2] for row in tables]
    assert ["tokens trained on", f"{num_windows * 100:,}"] in [row[:2] for row in tables]


def shard_tokens(folder: Path) -> tuple[int, ...]:
    options = PrepareOptions(shard_bytes=100_000, splits={"train": 1.0})
    plan = make_plan(find_sources([str(folder / "TEXT")]).sources, options)
    result: Estimate = estimate(plan, options, workers=1)
    return result.splits["train"].shard_tokens


def test_prices_are_said(folder: Path) -> None:
    (folder / "prices.toml").write_text(
        'scheme = "s3"\ncurrency = "<i>FLORIN"\nwrites_per_1000 = 1\nreads_per_1000 = 1000\n'
        "month_per_gb = 0\nout_per_gb = 0\n"
    )
    page = page_of(folder, "--price", str(folder / "prices.toml"))
    assert re.search(r"the first epoch costs \d+\.00 &lt;i&gt;FLORIN to \d+\.00 &lt;i&gt;", page)


def test_what_has_no_page_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError, match="`what_if` needs a window, and split train has none"):
        page_of(folder, "--seq_len", "2000000")
    command = ["plan", str(folder / "TEXT"), "--seq_len", "9", "--what_if", "x.html"]
    parsed = build_parser().parse_args(command)
    with pytest.raises(OptionError, match="`what_if` says nothing without `--batch_size`"):
        parsed.run(parsed)
