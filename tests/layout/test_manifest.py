"""The manifest on disk: format 5, sealed."""

import json
import os
from pathlib import Path

from blake3 import blake3
from corpora import make, text
from manifests import MANIFEST

from pipeline import open_corpus

# A new field, another order or another name makes another format.
REST = (
    '"format": 5, "name": "text", "options": {"vocabulary": "char", "splits": {"train": 0.9, '
    '"test": 0.1}}, "vocabulary_fingerprint": "F0", "vocabulary_size": 300, "dtype": "uint16", '
    '"separator_id": 0, "record_tokens": 4, "sources": [["a b.txt", 90, 90, true, true], '
    '["\\u65e5.gz", 50, 50, true, false], ["x.parquet", 70, 7, false, false]], "splits": {"train": '
    '{"shards": [{"file": "text-train.tfrecord-00000-of-00002", "num_tokens": '
    '9, "num_records": 3, "disk_bytes": 120, "text_bytes": 7, "blake3": "AB", "pieces": [[0, 0, '
    '40, 0], [2, 0, 7, 2]]}, {"file": "text-train.tfrecord-00001-of-00002", "num_tokens": 5, '
    '"num_records": 2, "disk_bytes": 78, "text_bytes": 4, "blake3": "CD", "pieces": [[0, 40, 90, '
    '1]]}]}, "test": {"shards": [{"file": "text-test.tfrecord-00000-of-00001", '
    '"num_tokens": 0, "num_records": 0, "disk_bytes": 0, "text_bytes": 0, "blake3": "EF", '
    '"pieces": []}]}}, "skipped": [[2, 3, [[0, "row", "the field \'text\' is null"], [5, "row", '
    '"not UTF-8"]]]], "file_formats": ["tfrecord"], "files": {"vocabulary.json": "01", '
    '"dataset_info.json": "02", "features.json": "03"}}\n'
)
for digits in ("F0", "AB", "CD", "EF", "01", "02", "03"):
    REST = REST.replace(f'"{digits}"', f'"{digits.lower() * 32}"')
DIGEST = blake3(REST.encode()).hexdigest()


def test_the_file_is_fixed(tmp_path: Path) -> None:
    assert MANIFEST.to_json() == f'{{"blake3": "{DIGEST}",\n{REST}'
    assert MANIFEST.digest == DIGEST
    MANIFEST.save(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == MANIFEST.to_json()
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_the_fingerprint_is_of_what_says_which_tokens_there_are() -> None:
    tokens = REST[: REST.index(', "skipped"')] + "}\n"
    assert MANIFEST.fingerprint == blake3(tokens.encode()).hexdigest()


def test_a_split_is_the_sum_of_its_shards() -> None:
    train, test = MANIFEST.splits.values()
    assert (train.num_tokens, train.text_bytes, train.disk_bytes) == (14, 11, 198)
    assert (test.num_tokens, test.text_bytes, test.disk_bytes) == (0, 0, 0)
    assert [shard.num_documents for shard in train.shards] == [2, 1]
    assert (train.num_documents, test.num_documents) == (3, 0)
    assert MANIFEST.shards == (*train.shards, *test.shards)
    assert [source.unit for source in MANIFEST.sources] == ["byte", "byte", "row"]
    assert MANIFEST.source_bytes == 90 + 50 + 70
    assert MANIFEST.num_skipped == 3


def test_the_manifest_survives_its_file(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(1000), shard_bytes=100)
    assert open_corpus(corpus.directory).manifest == corpus.manifest
    assert json.loads(corpus.manifest.to_json())["splits"]["train"]["shards"][0]["blake3"]
