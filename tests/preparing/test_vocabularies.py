"""The vocabulary of a corpus to be: given, or made from the text."""

import functools
from pathlib import Path
from typing import Any

import pytest
from corpora import TRAIN, documents, files, prepared, shard_files, text, write

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.preparing.engines import local
from pipeline.preparing.plan import make_plan
from pipeline.preparing.vocabularies import given_vocabulary, make_vocabulary
from pipeline.text.sources import find_sources
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.characters import CharVocabulary

RUN = functools.partial(local.run, workers=1)


def made(path: Path, **chosen: Any) -> Vocabulary:
    options = PrepareOptions(splits=TRAIN, shard_bytes=100, **chosen)
    assert given_vocabulary(options) is None
    return make_vocabulary(
        make_plan(find_sources([path]).sources, options), options, RUN, progress=False
    )


def test_it_is_given_or_is_to_be_made(tmp_path: Path) -> None:
    for vocabulary in ("char", "bpe:300"):
        assert given_vocabulary(PrepareOptions(vocabulary=vocabulary)) is None
    byte = given_vocabulary(PrepareOptions())
    assert byte is not None
    assert byte.kind == "byte"
    own = CharVocabulary([97, 98])
    own.save(tmp_path)
    for path in (tmp_path, tmp_path / "vocabulary.json"):
        found = given_vocabulary(PrepareOptions(vocabulary=str(path)))
        assert found is not None
        assert found.fingerprint == own.fingerprint
    with pytest.raises(OptionError, match="byte, char, bpe:SIZE or an existing file, got 'chars'"):
        given_vocabulary(PrepareOptions(vocabulary="chars"))
    with pytest.raises(UserError, match="is damaged"):
        given_vocabulary(PrepareOptions(vocabulary=str(write(tmp_path / "x.json", "{"))))


def test_characters_are_those_of_all_shards(tmp_path: Path) -> None:
    path = write(tmp_path / "x", "a" * 150 + "\n" + "b" * 150 + "\n" + "日" * 150)
    vocabulary = made(path, vocabulary="char")
    assert isinstance(vocabulary, CharVocabulary)
    assert vocabulary.characters == "\0\nab日"


def test_counts_are_those_of_all_shards(tmp_path: Path) -> None:
    """x occurs twice, once in each of two shards; y once."""
    path = write(tmp_path / "x", "a" * 90 + "x\n" + "a" * 90 + "y\n" + "a" * 90 + "x\n")
    vocabulary = made(path, vocabulary="char", min_count=2)
    assert isinstance(vocabulary, CharVocabulary)
    assert vocabulary.characters == "\0\nax\ufffd"
    assert vocabulary.decode(vocabulary.encode("axy")) == "ax\ufffd"


def test_subwords_are_trained_on_a_sample(tmp_path: Path) -> None:
    path = write(tmp_path / "x", text(20_000))
    vocabulary = made(path, vocabulary="bpe:300")
    assert (vocabulary.kind, vocabulary.size) == ("subword", 300)
    assert len(vocabulary.encode(text(1000))) < len(text(1000).encode())
    again = made(path, vocabulary="bpe:300")
    assert again.fingerprint == vocabulary.fingerprint


def test_a_vocabulary_that_is_not_there(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "text")
    message = "`vocabulary` must be byte, char, bpe:SIZE or an existing file, got 'chars'"
    with pytest.raises(UserError, match=message):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="chars"))
    assert not (tmp_path / "out").exists()


def test_rare_characters(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "aaa\n" * 100 + "b日日x\n")
    options = {"vocabulary": "char", "splits": TRAIN}
    for workers in (1, 2):
        prepare(
            [source], tmp_path / "out", PrepareOptions(**options, min_count=2, shard_bytes=64),
            workers=workers, overwrite=True,
        )  # fmt: skip
        corpus = open_corpus(tmp_path / "out")
        assert isinstance(corpus.vocabulary, CharVocabulary)
        assert corpus.vocabulary.characters == "\0\na日\ufffd"
    (document,) = documents(corpus, "train")
    assert document.decode() == "aaa\n" * 100 + "\ufffd日日\ufffd\n"
    before = files(tmp_path / "out")
    shard_files(tmp_path / "out")[0].unlink()
    repair(tmp_path / "out", [source])
    assert files(tmp_path / "out") == before
    # Another text with this vocabulary.
    other = write(tmp_path / "b.txt", "aß日" * 50)
    given = {**options, "vocabulary": str(tmp_path / "out")}
    with pytest.raises(UserError, match="lacks: 'ß'"):
        prepare([other], tmp_path / "other", PrepareOptions(**given), workers=1)
    again = prepared(tmp_path, other, **given, unknown="replace")
    assert again.vocabulary.fingerprint == corpus.vocabulary.fingerprint
    assert documents(again, "train") == ["a\ufffd日".encode() * 50]


def test_replacing_needs_the_replacement(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "abc" * 100)
    prepared(tmp_path, source, vocabulary="char", splits=TRAIN)
    given = PrepareOptions(vocabulary=str(tmp_path / "corpus"), unknown="replace")
    with pytest.raises(UserError, match="needs U\\+FFFD in the vocabulary"):
        prepare([source], tmp_path / "other", given)
