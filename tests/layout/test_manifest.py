"""The manifest on disk: format 1, as it is in every corpus that was ever prepared."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import make, text

from pipeline import UserError, open_corpus
from pipeline.layout.manifest import (
    Manifest,
    Shard,
    ShardPiece,
    SourceInfo,
    Split,
    load_manifest,
)

# What stands in files may never change: its SHA-256 is the fingerprint that runs remember.
ON_DISK = (
    '{"format": 1, "name": "text", "options": {"vocabulary": "char", "splits": {"train": 0.5, '
    '"test": 0.5}}, "vocabulary_fingerprint": "f00", "vocabulary_size": 300, "dtype": "uint16", '
    '"separator_id": 0, "record_tokens": 4, "sources": [["a b.txt", 90, 90, true, true], '
    '["日.gz", 50, 50, true, false], ["x.parquet", 70, 7, false, false]], '
    '"splits": {"train": {"num_documents": 3, "shards": [{"file": '
    '"text-train.tfrecord-00000-of-00002", "num_tokens": 9, "num_records": 3, "num_bytes": 111, '
    '"num_text_bytes": 7, "sha256": "abc", "pieces": [[0, 0, 40, 0], [2, 0, 7, 2]]}, {"file": '
    '"text-train.tfrecord-00001-of-00002", "num_tokens": 5, "num_records": 2, "num_bytes": 55, '
    '"num_text_bytes": 4, "sha256": "abd", "pieces": [[0, 40, 90, 1]]}]}, "test": '
    '{"num_documents": 5, "shards": []}}}\n'
).replace("日", "\\u65e5")
MANIFEST = Manifest(
    name="text",
    options={"vocabulary": "char", "splits": {"train": 0.5, "test": 0.5}},
    vocabulary_fingerprint="f00",
    vocabulary_size=300,
    dtype="uint16",
    separator_id=0,
    record_tokens=4,
    sources=(
        SourceInfo("a b.txt", 90, 90, True, True),
        SourceInfo("日.gz", 50, 50, True, False),
        SourceInfo("x.parquet", 70, 7, False, False),
    ),
    splits={
        "train": Split(
            num_documents=3,
            shards=(
                Shard(
                    file="text-train.tfrecord-00000-of-00002",
                    num_tokens=9,
                    num_records=3,
                    disk_bytes=111,
                    text_bytes=7,
                    sha256="abc",
                    pieces=(ShardPiece(0, 0, 40, 0), ShardPiece(2, 0, 7, 2)),
                ),
                Shard(
                    file="text-train.tfrecord-00001-of-00002",
                    num_tokens=5,
                    num_records=2,
                    disk_bytes=55,
                    text_bytes=4,
                    sha256="abd",
                    pieces=(ShardPiece(0, 40, 90, 1),),
                ),
            ),
        ),
        "test": Split(num_documents=5, shards=()),
    },
)


def test_the_file_is_fixed_for_all_time(tmp_path: Path) -> None:
    assert MANIFEST.to_json() == ON_DISK
    assert MANIFEST.fingerprint == hashlib.sha256(ON_DISK.encode()).hexdigest()
    MANIFEST.save(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == ON_DISK
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(ON_DISK)
    loaded = load_manifest(tmp_path)
    assert loaded == MANIFEST
    assert loaded.fingerprint == MANIFEST.fingerprint
    assert load_manifest(f"file://{tmp_path}") == MANIFEST


def test_a_split_is_the_sum_of_its_shards() -> None:
    train, test = MANIFEST.splits.values()
    assert (train.num_tokens, train.text_bytes, train.disk_bytes) == (14, 11, 166)
    assert (test.num_tokens, test.text_bytes, test.disk_bytes) == (0, 0, 0)
    assert [shard.num_documents for shard in train.shards] == [2, 1]
    assert MANIFEST.shards == train.shards
    assert [source.unit for source in MANIFEST.sources] == ["byte", "byte", "row"]


def test_the_manifest_survives_its_file(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(1000), shard_bytes=100)
    assert open_corpus(corpus.directory).manifest == corpus.manifest
    assert json.loads(corpus.manifest.to_json())["splits"]["train"]["shards"][0]["sha256"]


def test_a_directory_that_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such corpus: .*/absent"):
        load_manifest(tmp_path / "absent")
    with pytest.raises(UserError, match=r"is no corpus: it has no manifest\.json"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: "", r"manifest\.json is damaged"),
        (lambda content: content[:100], r"manifest\.json is damaged"),
        (lambda content: "{}", r"is not of format 1"),
        (lambda content: '{"format": 1}', r"manifest\.json is damaged"),
        (lambda content: content.replace('"shards"', '"chards"'), r"manifest\.json is damaged"),
        (lambda content: content.replace('"format": 1', '"format": 2'), r"is not of format 1"),
        (lambda content: content.replace('"num_bytes"', '"disk_bytes"'), "json is damaged"),
        (lambda content: content.replace("[0, 0, 40, 0]", "[0, 0, 40]"), "json is damaged"),
    ],
)
def test_a_damaged_manifest_is_named(
    tmp_path: Path, damage: Callable[[str], str], message: str
) -> None:
    (tmp_path / "manifest.json").write_text(damage(ON_DISK))
    with pytest.raises(UserError, match=message):
        load_manifest(tmp_path)
