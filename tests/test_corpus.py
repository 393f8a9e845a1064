import json

import pytest
from corpora import make, text

from pipeline import UserError, open_corpus
from pipeline.vocabulary.base import ByteVocabulary


def test_what_a_corpus_tells(tmp_path):
    corpus = make(tmp_path, text(1000), vocabulary="char")
    assert list(corpus.splits) == ["train", "validation"]
    train, validation = corpus.splits.values()
    assert train.num_tokens + validation.num_tokens == 1001  # and one separator
    assert train.num_bytes + validation.num_bytes == len(text(1000).encode())
    assert corpus.vocabulary.decode(corpus.vocabulary.encode("日本")) == "日本"
    assert corpus.num_windows("train", seq_len=10) == (train.num_tokens - 11) // 10 + 1
    assert corpus.num_windows("train", seq_len=10, stride=1) == train.num_tokens - 10


def test_fingerprints_tell_corpora_apart_and_not_places(tmp_path):
    first = make(tmp_path / "a", text(1000))
    same = make(tmp_path / "b", text(1000))
    other = make(tmp_path / "c", text(1000, seed=1))
    assert first.fingerprint == same.fingerprint != other.fingerprint


def test_a_directory_that_is_no_corpus(tmp_path):
    with pytest.raises(UserError, match=r"no such corpus: .*/absent"):
        open_corpus(tmp_path / "absent")
    with pytest.raises(UserError, match=r"is no corpus: it has no manifest\.json"):
        open_corpus(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: "", r"manifest\.json is damaged"),
        (lambda content: content[:100], r"manifest\.json is damaged"),
        (lambda content: "{}", r"is not of format 1"),
        (lambda content: '{"format": 1}', r"manifest\.json is damaged"),
        (lambda content: content.replace('"shards"', '"chards"'), r"manifest\.json is damaged"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path, damage, message):
    corpus = make(tmp_path, text(100))
    path = tmp_path / "corpus/manifest.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=message):
        open_corpus(corpus.directory)


def test_another_vocabulary_is_refused(tmp_path):
    corpus = make(tmp_path, text(100), vocabulary="char")
    ByteVocabulary().save(corpus.directory)
    with pytest.raises(UserError, match="not the vocabulary that the corpus was prepared with"):
        open_corpus(corpus.directory)


def test_the_manifest_survives_its_file(tmp_path):
    corpus = make(tmp_path, text(1000), shard_bytes=100)
    assert open_corpus(corpus.directory).manifest == corpus.manifest
    assert json.loads(corpus.manifest.to_json())["splits"]["train"]["shards"][0]["sha256"]
