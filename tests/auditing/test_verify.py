"""Verification: every damage is found, and named."""

import dataclasses
import gzip
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import documents, files, flip, make, prepared, shard_files, text, write, write_many

from pipeline import Corpus, UserError, open_corpus
from pipeline.auditing.repair import repair
from pipeline.auditing.verify import ShardCheck, check_shard, verify
from pipeline.layout.sealed import read_sealed, sealed


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Many documents, one of them cut among shards."""
    write(tmp_path / "in/large.txt", text(20_000))
    for index in range(80):
        write(tmp_path / f"in/{index}.txt", text(500, seed=index + 1))
    options = {"vocabulary": "char", "shard_bytes": 4000, "record_tokens": 300}
    return Path(prepared(tmp_path, str(tmp_path / "in"), **options).directory)


def test_a_whole_corpus_is_well(corpus: Path) -> None:
    findings = verify(corpus, workers=2)
    assert findings.problems == ()
    assert findings.bad_shards == ()
    assert findings.num_shards == len(shard_files(corpus))
    # Three are cut among the splits, so are two each; so is the large one, of which one range is
    # no beginning and the other is in several shards. The first of validation is none either.
    assert findings.num_documents == 80 + 3
    assert findings.duplicates == {}


def test_every_flipped_bit_is_found_and_repaired(corpus: Path) -> None:
    before = files(corpus)
    source = random.Random(0)
    for _ in range(20):
        path = source.choice(shard_files(corpus))
        flip(path, source.randrange(path.stat().st_size))
        findings = verify(corpus)
        assert findings.bad_shards == (path.name,)
        assert findings.problems[0].startswith(path.name)
        assert repair(corpus, [corpus.parent / "in"]) == (path.name,)
        assert files(corpus) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes, the manifest says"),
        (lambda path: flip(path, 3), "record 0 at byte 0: the checksum of its length is wrong"),
        (lambda path: flip(path, 500), "record 1 at byte 339: the checksum of its content"),
    ],
)
def test_the_shard_and_what_is_wrong_are_named(
    corpus: Path, damage: Callable[[Path], object], message: str
) -> None:
    before, path = files(corpus), shard_files(corpus)[2]
    damage(path)
    findings = verify(corpus)
    assert len(findings.problems) == 1
    assert path.name in findings.problems[0]
    assert message in findings.problems[0]
    repair(corpus, [corpus.parent / "in"], workers=2)
    assert files(corpus) == before


def test_a_shard_in_the_place_of_another(corpus: Path) -> None:
    first, second = shard_files(corpus)[:2]
    shutil.copy(first, second)
    assert verify(corpus).bad_shards == (second.name,)


def test_the_files_beside_the_shards(corpus: Path) -> None:
    before = files(corpus)
    (corpus / "dataset_info.json").write_text("{}")
    (corpus / "features.json").unlink()
    assert [problem.split(":")[0] for problem in verify(corpus).problems] == [
        "dataset_info.json",
        "features.json",
    ]
    assert repair(corpus, [corpus.parent / "in"]) == ()
    assert files(corpus) == before
    info = json.loads((corpus / "dataset_info.json").read_text())
    info["splits"][0]["shardLengths"][0] = "7"
    (corpus / "dataset_info.json").write_text(json.dumps(info))
    message = "dataset_info.json: is not the file that the manifest vouches for"
    assert verify(corpus).problems == (message,)
    repair(corpus, [corpus.parent / "in"])
    (corpus / "vocabulary.json").write_text(json.dumps({"kind": "byte"}))
    message = "vocabulary.json: is not the file that the manifest vouches for"
    assert verify(corpus).problems == (message,)
    (corpus / "vocabulary.json").unlink()
    assert verify(corpus).problems == ("vocabulary.json: is missing",)


@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("change", [-1, 1])
def test_text_that_is_in_two_shards_or_none(corpus: Path, index: int, change: int) -> None:
    path = corpus / "manifest.json"
    content = read_sealed(path)
    content["splits"]["train"]["shards"][0]["pieces"][0][index] += change
    path.write_text(sealed(content))
    try:
        problems = verify(corpus).problems
    except UserError as error:  # before the beginning of a source, or after its end
        problems = (str(error),)
    said = ("is in no shard, or in two", "is no piece of a source")
    assert any(words in problem for problem in problems for words in said)


def test_counts_are_those_of_the_manifest(corpus: Path) -> None:
    manifest = open_corpus(corpus).manifest
    shard = manifest.splits["train"].shards[1]
    check = ShardCheck(
        path=str(corpus / shard.file),
        shard=dataclasses.replace(shard, num_tokens=shard.num_tokens + 1),
        itemsize=2 if manifest.dtype == "uint16" else 1,
        record_tokens=manifest.record_tokens,
        separator=b"\0" * (2 if manifest.dtype == "uint16" else 1),
        starts_document=True,
        has_array_record=False,
    )
    problem = check_shard(check, lambda num_bytes: None).problem
    assert problem == (
        f"has {shard.num_records} records and {shard.num_tokens} tokens, the manifest says "
        f"{shard.num_records} and {shard.num_tokens + 1}"
    )


def test_copies_across_splits_are_reported(tmp_path: Path) -> None:
    """A file and a compressed one are no equal files, but the same text."""
    for index in range(200):
        content = text(100, seed=index).encode()
        write(tmp_path / f"in/{index}.txt", content)
        write(tmp_path / f"in/{index}.txt.gz", gzip.compress(content, mtime=0))
    splits = {"train": 0.8, "validation": 0.2}
    corpus = prepared(tmp_path, str(tmp_path / "in"), splits=splits)
    own = {split: set(documents(corpus, split)) for split in splits}
    findings = verify(corpus.directory)
    assert findings.problems == ()
    both = own["train"] & own["validation"]
    assert findings.duplicates == {("train", "validation"): len(both)}
    assert len(both) > 10


def test_byte_corpora_are_read_alike(byte_corpus: Corpus, tmp_path: Path) -> None:
    assert verify(byte_corpus.directory).problems == ()
    corpus = make(tmp_path, text(5000), record_tokens=99)
    assert verify(corpus.directory).problems == ()
    many = prepared(tmp_path / "many", write_many(tmp_path / "in", num_files=9), shard_bytes=4000)
    assert verify(many.directory).problems == ()
