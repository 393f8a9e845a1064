"""The counts of a prepare are those that a server counts."""

from pathlib import Path

import pytest
import storage
from corpora import text, write
from storage_proxy import Request

from pipeline import OptionError, PrepareOptions, prepare
from pipeline.auditing.costs.preparing import requests_of_prepare
from pipeline.files import Requests


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
        (11_000_000, 4_700_000, "byte"),  # large enough to look first
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


def test_many_names_are_listed_in_several_requests() -> None:
    few, many = (requests_of_prepare("s3", [10] * count) for count in (998, 2001))
    each = requests_of_prepare("s3", [10] * 2).writes - requests_of_prepare("s3", [10]).writes
    assert many.writes - few.writes == (2001 - 998) * each + 6


def test_of_other_stores_nothing_is_known() -> None:
    with pytest.raises(OptionError, match="`scheme` must be one of s3, gs, az, got 'hf'"):
        requests_of_prepare("hf", [1])
