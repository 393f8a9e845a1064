"""word_binary: files as gensim and word2vec write them, and damaged ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from corpora import write

from pipeline import UserError
from pipeline.vocabulary.characters import CharVocabulary
from trainer.embeddings.vectors import read_vectors

WORDS = {"the": [9.0, 9.0], "a": [1.0, 2.0], "é": [0.5, -1e-3], "b": [3.0, 1e38]}
ABC = CharVocabulary([ord(character) for character in "abcé"])


def binary(words: dict[str, list[float]], newline: bytes = b"", dim: int = 2) -> bytes:
    """As gensim's `save_word2vec_format(binary=True)` writes it; word2vec's tool adds newlines."""
    numbers = {word: np.array(values, "<f4").tobytes() for word, values in words.items()}
    return f"{len(words)} {dim}\n".encode() + b"".join(
        word.encode() + b" " + numbers[word] + newline for word in words
    )


def read(path: Path, content: bytes) -> dict[str, list[float]]:
    found = read_vectors(str(write(path, content)), ABC)
    return {
        ABC.decode([token]): value.tolist()
        for token, value in zip(found.ids, found.values, strict=True)
    }


@pytest.mark.parametrize("block_bytes", [1, 7, 64 * 1024])
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_the_vectors_of_symbols_are_found(
    tmp_path: Path, block_bytes: int, newline: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.files.reading.BLOCK_BYTES", block_bytes)
    expected = {word: np.array(WORDS[word], np.float32).tolist() for word in "abé"}
    assert read(tmp_path / "a.bin", binary(WORDS, newline)) == expected
    assert read(tmp_path / "a.bin.gz", gzip.compress(binary(WORDS, newline))) == expected


def test_a_number_may_have_the_bytes_of_a_newline_or_a_space(tmp_path: Path) -> None:
    odd = np.frombuffer(b"\n\n\n\n    ", "<f4").tolist()
    assert read(tmp_path / "a.bin", binary({"a": odd, "b": [1, 2]})) == {"a": odd, "b": [1, 2]}


def test_gensim_writes_what_is_read(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models")
    vectors = gensim.KeyedVectors(2)
    vectors.add_vectors(list(WORDS), np.array(list(WORDS.values()), np.float32))
    for name in ("a.bin", "a.bin.gz", "a.txt"):
        vectors.save_word2vec_format(str(tmp_path / name), binary=".bin" in name)
        found = read_vectors(str(tmp_path / name), ABC)
        assert found.values.tolist() == vectors[[ABC.decode([i]) for i in found.ids]].tolist()
        assert len(found.ids) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (binary(WORDS)[:-1], "ends, or is damaged, at word 4 of the 4 that its first line"),
        (binary(WORDS).replace(b"4 2", b"5 2"), "ends, or is damaged, at word 5 of the 5"),
        (binary(WORDS).replace(b"4 2", b"3 2"), "announces 3 words, and more follows them"),
        (binary({"a": [1, np.inf]}), "word 1 must have finite numbers"),
        (binary({"": [1, 2]}), "word 1 must not be empty or begin with a space"),
        (b"a 1 2\n", "must begin with a line of two counts, of words and of numbers"),
        ((793712314).to_bytes(4, "little") + bytes(99), "a model of fastText; save its vectors"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.bin", content)
    assert str(tmp_path / "a.bin") in str(error.value)
    assert message in str(error.value)
