"""Vocabularies of a corpus, of a run or of a file."""

import json
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.characters import REPLACEMENT, ByteVocabulary, CharVocabulary
from pipeline.vocabulary.loading import load_vocabulary


def test_a_directory_a_file_and_a_uri_are_one(tmp_path: Path) -> None:
    vocabulary = CharVocabulary([*map(ord, "ab")])
    vocabulary.save(tmp_path)
    for path in (tmp_path, tmp_path / "vocabulary.json"):
        for place in (path, str(path), f"file://{path}"):
            assert load_vocabulary(place).fingerprint == vocabulary.fingerprint


def test_the_kind_is_that_of_the_file(tmp_path: Path) -> None:
    subword = train_bpe([b"some text"], 257)
    for vocabulary in (ByteVocabulary(), CharVocabulary([97]), subword):
        vocabulary.save(tmp_path)
        assert load_vocabulary(tmp_path).kind == vocabulary.kind
    assert load_vocabulary(tmp_path / "vocabulary.json").kind == "char"
    assert load_vocabulary(tmp_path / "tokenizer.json").fingerprint == subword.fingerprint


def test_what_is_unknown_is_an_error_or_replaced(tmp_path: Path) -> None:
    CharVocabulary([97, REPLACEMENT]).save(tmp_path)
    with pytest.raises(UserError, match="lacks: 'Q'"):
        load_vocabulary(tmp_path).encode("aQ")
    replacing = load_vocabulary(tmp_path, unknown="replace")
    assert replacing.decode(replacing.encode("aQ")) == "a\ufffd"
    CharVocabulary([97]).save(tmp_path)
    with pytest.raises(UserError, match=r"needs U\+FFFD in the vocabulary"):
        load_vocabulary(tmp_path, unknown="replace")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "char"}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(UserError, match=r"vocabulary\.json is damaged"):
        load_vocabulary(tmp_path)


def test_unknown_or_absent_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_vocabulary(tmp_path)
    (tmp_path / "vocabulary.json").write_text(json.dumps({"kind": "runes"}))
    with pytest.raises(UserError, match="unknown `kind` 'runes'"):
        load_vocabulary(tmp_path)
