"""fetcher: batches from a store are those from a disk, whatever the cache keeps, loses or lacks."""

import concurrent.futures
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import pytest
import storage
import tensorflow as tf
from storage_proxy import Fault, Request

from pipeline import Corpus, OptionError, open_corpus
from pipeline.files import put_file
from pipeline.reading.caching import fetcher as cache
from pipeline.reading.caching.fetcher import find_cache
from pipeline.reading.damage import asserted_damage, asserted_replacement, asserted_unread


def rows(corpus: Corpus, count: int = 30, **changes: Any) -> list[np.ndarray]:
    options = {"seq_len": 8, "batch_size": 4, "stride": 5, "seed": 3, "span_tokens": 64}
    dataset = corpus.windows("train", **{**options, **changes})
    return [np.stack(batch) for batch in itertools.islice(dataset.as_numpy_iterator(), count)]


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come")


def put(directory: str, uri: str) -> str:
    for path in Path(directory).iterdir():
        if path.is_file():
            put_file(path, f"{uri}/{path.name}")
    return uri


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Four shards."""
    directory = tmp_path_factory.mktemp("corpus")
    options = {"vocabulary": "char", "shard_bytes": 10_000, "record_tokens": 64}
    return corpora.make(directory, corpora.text(40_000), **options)


@pytest.fixture
def stored(s3: storage.Store, local: Corpus) -> str:
    return put(local.directory, s3.new_bucket() + "/corpus")


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/*") if path.name[0] != ".")


@pytest.mark.parametrize("whole", [0, 4])
def test_batches_from_a_store_are_those_from_a_disk(
    whole: int, stored: str, local: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ranges alone, and by whole shards."""
    monkeypatch.setattr(cache, "_WHOLE", whole)
    corpus = open_corpus(stored, cache_dir=tmp_path)
    for changes in ({}, {"seed": None, "start_step": 7, "host_index": 1, "host_count": 2}):
        np.testing.assert_array_equal(rows(corpus, **changes), rows(local, **changes))
    lanes = [
        list(itertools.islice(each.lanes("train", seq_len=8, batch_size=4).as_numpy_iterator(), 9))
        for each in (corpus, local)
    ]
    for found, expected in zip(*map(tf.nest.flatten, lanes), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_threads_that_come_at_once_share_a_fetcher(
    local: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several would fetch everything several times, into the same files."""
    made: list[object] = []

    def make_slowly(*arguments: object) -> object:
        time.sleep(0.1)
        made.append(object())
        return made[-1]

    monkeypatch.setattr(cache, "Fetcher", make_slowly)
    fetchers = cache.Fetchers("s3://b/c", local.manifest, cache.Cache(directory=str(tmp_path)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetchers.of, ["train"] * 4)) == made * 4
    assert len(made) == 1


def test_shards_are_kept_whole_for_others_and_checked(
    stored: str, local: Corpus, s3: storage.Store, tmp_path: Path
) -> None:
    expected = rows(local)
    np.testing.assert_array_equal(rows(open_corpus(stored, cache_dir=tmp_path)), expected)
    files = [shard.file for shard in local.splits["train"].shards]
    assert len(files) > 2
    wait_until(lambda: kept(tmp_path) == files)
    for path in tmp_path.glob("*/text*"):
        assert path.read_bytes() == Path(local.directory, path.name).read_bytes()
    s3.proxy.reset()
    np.testing.assert_array_equal(rows(open_corpus(stored, cache_dir=tmp_path)), expected)
    assert s3.proxy.count(path="tfrecord") == 0


def test_the_first_batch_needs_its_own_ranges_alone(
    stored: str, local: Corpus, s3: storage.Store, tmp_path: Path
) -> None:
    s3.proxy.reset()
    corpus = open_corpus(stored, cache_dir=tmp_path, cache_bytes=0)
    s3.proxy.reset()
    rows(corpus, 1, shuffle_bytes=2_000, span_tokens=16)
    paths = [request.path for request in s3.proxy.requests]
    first_ask = s3.proxy.requests[: next(i for i, path in enumerate(paths) if "manifest" in path)]
    ranges = [request.range.removeprefix("bytes=").split("-") for request in first_ask]
    sent = sum(int(last) + 1 - int(first) for first, last in ranges)
    assert 0 < sent < sum(shard.disk_bytes for shard in local.splits["train"].shards) / 2


def test_a_shard_of_which_much_is_needed_comes_by_one_request(
    stored: str, local: Corpus, s3: storage.Store, tmp_path: Path
) -> None:
    """A group that needs all of them; in arrays, and in a graph."""
    shards = local.splits["train"].shards
    for folder in ("arrays", "graph"):
        corpus = open_corpus(stored, cache_dir=tmp_path / folder)
        s3.proxy.reset()
        if folder == "arrays":
            next(iter(corpus.batches("train", seq_len=8, batch_size=4)))
        else:
            rows(corpus, 1)
        asked = [each for each in s3.proxy.requests if "tfrecord" in each.path]
        expected = {f"bytes=0-{shard.disk_bytes - 1}" for shard in shards}
        assert {request.range for request in asked} == expected
        assert len(asked) == len(shards)


def test_what_does_not_fit_is_read_from_the_store_and_older_corpora_go_first(
    stored: str, local: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other" / "text-train.tfrecord-00000-of-00001"
    other.parent.mkdir()
    other.write_bytes(bytes(20_000))
    most = 2 * local.splits["train"].shards[0].disk_bytes
    corpus = open_corpus(stored, cache_dir=tmp_path, cache_bytes=most)
    np.testing.assert_array_equal(rows(corpus), rows(local))
    wait_until(lambda: "is full (--cache_bytes)" in capsys.readouterr().err)
    assert not other.exists()
    assert 0 < sum(path.stat().st_size for path in tmp_path.glob("*/*")) <= most
    np.testing.assert_array_equal(rows(corpus), rows(local))


@pytest.mark.parametrize("left", [b"", b"whole", b"damaged"])
def test_a_fetch_that_was_cut_off_goes_on(
    left: bytes, stored: str, local: Corpus, s3: storage.Store, tmp_path: Path
) -> None:
    """What a killed process left is gone on with; where it is not the shard's, it goes."""
    first = local.splits["train"].shards[0]
    content = Path(local.directory, first.file).read_bytes()
    corpus = open_corpus(stored, cache_dir=tmp_path)
    folder = tmp_path / corpus.manifest.digest[:32]
    folder.mkdir()
    begun = {b"": b"", b"whole": content[:1_000], b"damaged": bytes(1_000)}[left]
    (folder / f".{first.file}.incomplete").write_bytes(begun)
    for _ in range(2):
        np.testing.assert_array_equal(rows(open_corpus(stored, cache_dir=tmp_path)), rows(local))
        wait_until(lambda: len(kept(tmp_path)) >= len(local.splits["train"].shards) - 1)
    wait_until(lambda: (folder / first.file).exists())
    assert (folder / first.file).read_bytes() == content


def test_a_store_that_fails_for_a_while_is_asked_again(
    stored: str, local: Corpus, s3: storage.Store, tmp_path: Path
) -> None:
    corpus = open_corpus(stored, cache_dir=tmp_path)
    s3.proxy.reset()

    def fault(request: Request) -> Fault | None:
        faults = (Fault(status=503), Fault(reset=True), Fault(cut=100))
        return faults[request.number] if request.number < 3 else None

    s3.proxy.fault = fault
    np.testing.assert_array_equal(rows(corpus), rows(local))


def test_what_went_wrong_reaches_who_waits(
    stored: str, s3: storage.Store, local: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = local.splits["train"].shards[1]
    damaged = bytearray(Path(local.directory, shard.file).read_bytes())
    damaged[100] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    put_file(tmp_path / "damaged", f"{stored}/{shard.file}")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        rows(open_corpus(stored, cache_dir=tmp_path / "1", cache_bytes=0))
    damage = asserted_damage(str(caught.value))
    assert damage is not None
    assert damage.file == f"{stored}/{shard.file}"

    corpus = open_corpus(stored, cache_dir=tmp_path / "2")
    put_file(tmp_path / "damaged", f"{stored}/manifest.json")
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        rows(corpus)
    assert asserted_replacement(str(caught.value)) is not None

    def refuse(*_: object) -> bytes:
        raise OSError("no way to the store")

    monkeypatch.setattr(cache, "read_range", refuse)
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        rows(open_corpus(put(local.directory, stored), cache_dir=tmp_path / "3", cache_bytes=0))
    assert "no way to the store" in (asserted_unread(str(caught.value)) or "")


def test_which_corpora_have_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert find_cache("/corpus", "/cache", None) is None
    assert find_cache("gs://bucket/corpus", None, None) is None
    given = find_cache("gs://bucket/corpus", "/cache", 7)
    assert given == cache.Cache(directory="/cache", max_bytes=7)
    found = find_cache("s3://bucket/corpus", None, None)
    assert found == cache.Cache(directory="/caches/textreel")
    with pytest.raises(OptionError, match="`cache_bytes` must be at least 0, got -1"):
        find_cache("s3://bucket/corpus", "/cache", -1)
    with pytest.raises(OptionError, match="`cache_dir` must be a directory of this machine"):
        find_cache("s3://bucket/corpus", "s3://bucket/cache", None)


def test_nothing_of_an_answer_stays(
    stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor of one that nobody takes, since the graph was stopped while it waited."""
    corpus = open_corpus(stored, cache_dir=tmp_path)
    rows(corpus)
    fetcher = corpus.shards("train", corpora_windows(), read_ahead=1).fetcher()
    assert fetcher is not None
    Path(fetcher.folder, "stopped.ask").write_text("0 0 100.")
    wait_until(Path(fetcher.folder, "stopped.ready").exists)
    monkeypatch.setattr(cache, "_LOOKS", 3)
    wait_until(lambda: os.listdir(fetcher.folder) == [])


def corpora_windows() -> Any:
    from pipeline.reading.geometry import Windows

    return Windows(seq_len=8, stride=5)
