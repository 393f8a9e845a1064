"""The counts of a prepare are those that a server counts."""

from pathlib import Path

import pytest
import storage
from corpora import text, write
from storage_proxy import Request

from pipeline import OptionError, PrepareOptions, prepare
from pipeline.auditing.costs.preparing import requests_of_prepare
from pipeline.files import Requests, write_text


def counted(requests: list[Request]) -> Requests:
    """What came, in the classes by which stores sell it."""
    removals = sum(request.method == "DELETE" for request in requests)
    reads = sum(
        request.method in ("GET", "HEAD")
        and "list-type" not in request.path  # S3
        and "/o?" not in request.path  # Google
        and "comp=list&" not in request.path  # Azure
        for request in requests
    )
    return Requests(writes=len(requests) - reads - removals, reads=reads, removals=removals)


@pytest.mark.parametrize("server", ["s3", "google", "azure"])
@pytest.mark.parametrize(
    ("num_bytes", "shard_bytes", "vocabulary"),
    [
        (60_000, 20_000, "char"),  # by one request each
        (11_500_000, 5_700_000, "byte"),  # in parts, but into S3
        (17_500_000, 18_000_000, "byte"),  # in parts
    ],
)
def test_a_prepare_asks_just_so_much(
    server: str,
    num_bytes: int,
    shard_bytes: int,
    vocabulary: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    store: storage.Store = request.getfixturevalue(server)
    bucket = store.new_bucket()
    block = text(60_000)
    write(tmp_path / "TEXT", (block * (num_bytes // len(block) + 1))[:num_bytes])
    options = PrepareOptions(
        vocabulary=vocabulary, splits={"train": 0.95, "rest": 0.05}, shard_bytes=shard_bytes
    )
    store.proxy.reset()
    manifest = prepare([tmp_path / "TEXT"], f"{bucket}/corpus", options, workers=1)
    sizes = [shard.disk_bytes for shard in manifest.shards]
    expected = requests_of_prepare(bucket.partition("://")[0], sizes)
    assert counted(store.proxy.requests) == expected
    assert expected.out_bytes == 0


@pytest.mark.parametrize("server", ["s3", "google", "azure"])
def test_a_shard_takes_few_requests(server: str, request: pytest.FixtureRequest) -> None:
    """One for each thing that only the store knows or keeps: in a worker, each waits for the last.

    Of the source: where the shard begins, in the plan; its text, for the characters and for the
    tokens; and whether it is still the same. Of the corpus: whether another prepare has made the
    shard; the shard; its entry in the journal; the end of that.
    """
    store: storage.Store = request.getfixturevalue(server)
    bucket = store.new_bucket()
    write_text(f"{bucket}/text.txt", text(90_000))
    options = PrepareOptions(vocabulary="char", splits={"train": 1.0}, shard_bytes=10_000)
    store.proxy.reset()
    manifest = prepare([f"{bucket}/text.txt"], f"{bucket}/corpus", options, workers=1)
    requests = store.proxy.requests
    count = len(manifest.shards)
    assert count > 8
    of_source = [each for each in requests if "text.txt" in each.path]
    looks = [each for each in of_source if each.range is None]
    assert len(of_source) - len(looks) == (count - 1) + 2 * count
    # Before and after all shards, too; gcsfs asks for a directory besides, while it waits.
    assert len(looks) <= (count + 3) * (3 if server == "google" else 1)
    of_corpus = len(requests) - len(of_source)
    assert of_corpus - 4 * count <= 20
    assert requests_of_prepare(bucket.partition("://")[0], [1] * count).removals == count + 1


def test_many_names_are_listed_in_several_requests() -> None:
    few, many = (requests_of_prepare("s3", [10] * count) for count in (998, 2001))
    each = requests_of_prepare("s3", [10] * 2).writes - requests_of_prepare("s3", [10]).writes
    assert many.writes - few.writes == (2001 - 998) * each + 6


def test_of_other_stores_nothing_is_known() -> None:
    with pytest.raises(OptionError, match="`scheme` must be one of s3, gs, az, got 'hf'"):
        requests_of_prepare("hf", [1])
