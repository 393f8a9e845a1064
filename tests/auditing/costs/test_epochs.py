"""What an epoch asks of a store lies in the bounds, and is just that where it can be known."""

import time
from pathlib import Path

import pytest
import storage
from corpora import text, write

from pipeline import PrepareOptions, open_corpus, prepare
from pipeline.auditing.costs import epochs
from pipeline.auditing.costs.epochs import Bounds, EpochRequests, requests_of_epoch
from pipeline.files import Requests
from pipeline.reading.geometry import Windows


@pytest.fixture
def stored(s3: storage.Store, tmp_path: Path) -> str:
    uri = f"{s3.new_bucket()}/corpus"
    write(tmp_path / "TEXT", text(250_000))
    options = PrepareOptions(shard_bytes=30_000, record_tokens=500)
    prepare([tmp_path / "TEXT"], uri, options, workers=1)
    return uri


def holds(bounds: Bounds, found: Requests) -> bool:
    least, most = bounds.least, bounds.most
    return (
        least.reads <= found.reads <= most.reads
        and least.out_bytes <= found.out_bytes <= most.out_bytes
    )


@pytest.mark.parametrize(
    ("seq_len", "stride", "group_spans", "span_tokens"),
    [(30, 30, None, None), (30, 11, None, None), (30, 30, 12, 2_000), (100, 130, 10, 3_000)],
)
def test_an_epoch_asks_for_no_more_and_no_less(
    seq_len: int,
    stride: int,
    group_spans: int | None,
    span_tokens: int | None,
    stored: str,
    s3: storage.Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = {}
    if group_spans is not None and span_tokens is not None:  # as a corpus of many groups has them
        options = {"shuffle_bytes": group_spans * 4 * span_tokens, "span_tokens": span_tokens}
        make_order = epochs.make_order
        monkeypatch.setattr(
            epochs, "make_order", lambda *args, **named: make_order(*args, **named, **options)
        )
    manifest = open_corpus(stored).manifest
    shards = manifest.splits["train"].shards
    expected = requests_of_epoch(
        [shard.num_tokens for shard in shards],
        Windows(seq_len=seq_len, stride=stride),
        itemsize=1,
        record_tokens=500,
    )
    assert expected is not None

    def read(cache_bytes: int | None) -> Requests:
        corpus = open_corpus(stored, cache_dir=tmp_path / "cache", cache_bytes=cache_bytes)
        s3.proxy.reset()
        for _ in corpus.batches(
            "train", seq_len=seq_len, stride=stride, batch_size=1, epochs=1, **options
        ):
            pass
        deadline = time.monotonic() + 20
        while cache_bytes is None and time.monotonic() < deadline:
            if len(list(tmp_path.glob("cache/*/text-train*"))) == len(shards):
                break
            time.sleep(0.02)
        assert {request.method for request in s3.proxy.requests} == {"GET"}
        return Requests(reads=len(s3.proxy.requests), out_bytes=s3.proxy.sent)

    uncached = read(0)
    assert holds(expected.uncached, uncached), uncached
    # No bound is so wide that it says nothing.
    assert expected.uncached.most.out_bytes < 2.5 * uncached.out_bytes
    assert expected.uncached.most.reads <= 2 * uncached.reads + 20
    first = read(None)
    assert holds(expected.first, first), first
    assert read(None) == expected.later


def test_each_host_reads_into_its_own_cache() -> None:
    def asked(hosts: int) -> EpochRequests:
        found = requests_of_epoch(
            [10**9] * 3,
            Windows(seq_len=64, stride=64),
            itemsize=2,
            record_tokens=4096,
            hosts=hosts,
        )
        assert found is not None
        return found

    assert asked(4).first.most == asked(1).first.most * 4
    assert asked(4).later == asked(1).later * 4
    assert asked(4).first.least.out_bytes < asked(1).uncached.most.out_bytes


def test_without_a_window_there_is_no_epoch() -> None:
    short = Windows(seq_len=64, stride=64)
    assert requests_of_epoch([64, 3], short, itemsize=1, record_tokens=8) is None
