"""vectors: formats, which word is an id's, errors that name the line."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import write

from pipeline import OptionError, UserError
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from pipeline.vocabulary.subword import SubwordVocabulary
from trainer.embeddings import vectors
from trainer.embeddings.vectors import read_vectors, words_of

ABC = CharVocabulary([ord(character) for character in "abcé "])  # ids: \0 0, space 1, a 2 …
GLOVE = "a 1 2\nthe 9 9\né 0.5 -1e-3\nb 3 4\n"
EXPECTED = {"a": [1, 2], "b": [3, 4], "é": [0.5, -1e-3]}


@pytest.fixture(scope="module")
def subwords() -> SubwordVocabulary:
    return train_bpe([b"the then the cat\n\nthe cat then thex cat x  x" * 20], 300)


def read(path: Path, content: str | bytes, vocabulary: Vocabulary = ABC, **options: Any) -> Any:
    return read_vectors(str(write(path, content)), vocabulary, **options)


def found(result: vectors.Vectors, vocabulary: Vocabulary = ABC) -> dict[str, list[float]]:
    assert result.num_ids == vocabulary.size
    assert result.values.dtype == np.float32
    return {
        vocabulary.decode([token]): value.tolist()
        for token, value in zip(result.ids, result.values, strict=True)
    }


def approx(expected: dict[str, list[float]]) -> dict[str, Any]:
    return {symbol: pytest.approx(values) for symbol, values in expected.items()}


@pytest.mark.parametrize(
    "content",
    [
        GLOVE,
        "4 2\n" + GLOVE,
        "\ufeff" + GLOVE,
        "\ufeff4 2\n" + GLOVE,
        ". . 7 7\n" + GLOVE,  # at the beginning as well
        GLOVE.replace("\n", "\r\n"),
        GLOVE.replace("\n", " \n"),  # as word2vec writes it
        GLOVE.rstrip("\n"),
        GLOVE + "\n\n",
        GLOVE + "a 7 7\n",  # a word counts the first time
        GLOVE + ". . . 7 7\n",  # words with spaces, as GloVe has some
    ],
)
@pytest.mark.parametrize("block_bytes", [3, 64 * 1024])
def test_every_symbol_of_a_text_is_found(
    tmp_path: Path, content: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.files.reading.BLOCK_BYTES", block_bytes)
    assert found(read(tmp_path / "a.txt", content)) == approx(EXPECTED)


@pytest.mark.parametrize("header", ["", "2 2\n"])
def test_a_space_is_a_word(tmp_path: Path, header: str) -> None:
    for lines in ("  5 6\na 1 2\n", "a 1 2\n  5 6\n"):
        assert found(read(tmp_path / "a.txt", header + lines)) == {" ": [5, 6], "a": [1, 2]}


def test_a_first_line_of_two_numbers_may_be_a_word_and_its_one(tmp_path: Path) -> None:
    digits = CharVocabulary([ord("7"), ord("8")])
    assert found(read(tmp_path / "a.txt", "7 5\n8 6\n", digits), digits) == {"7": [5], "8": [6]}
    assert found(read(tmp_path / "a.txt", "1 1\n8 6\n", digits), digits) == {"8": [6]}


def test_compressed_text(tmp_path: Path) -> None:
    content = gzip.compress(GLOVE.encode())
    assert found(read(tmp_path / "a.vec.gz", content)) == approx(EXPECTED)
    with pytest.raises(UserError, match=r"a\.vec\.gz is cut off"):
        read(tmp_path / "a.vec.gz", content[:-5])


def test_an_array_is_in_the_order_of_the_ids(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(ABC.size, 3))
    np.save(tmp_path / "a.npy", values)
    result = read_vectors(str(tmp_path / "a.npy"), ABC, dim=3)
    assert result.ids.tolist() == list(range(ABC.size))
    np.testing.assert_array_equal(result.values, values.astype(np.float32))


def test_words_of_bytes_and_characters() -> None:
    byte = ByteVocabulary()
    assert [words_of(byte, token) for token in (0, 10, 32, 65, 127, 128, 255)] == [
        ["</s>", "<|endoftext|>"],
        ["\n", "Ċ"],
        [" ", "Ġ", "▁"],
        ["A"],
        ["\x7f"],
        [],
        [],
    ]
    assert [words_of(ABC, token) for token in range(ABC.size)] == [
        ["</s>", "<|endoftext|>"],
        [" ", "Ġ", "▁"],
        ["a"],
        ["b"],
        ["c"],
        ["é"],
    ]


def test_words_of_subwords(subwords: SubwordVocabulary) -> None:
    words = {subwords.decode([token]): words_of(subwords, token) for token in range(subwords.size)}
    assert words["the"] == ["the"]
    assert words[" the"] == [" the", "Ġthe", "▁the", "the"]
    assert words[" "] == [" ", "Ġ", "▁"]
    assert words_of(subwords, subwords.separator_id) == ["</s>", "<|endoftext|>"]


def test_the_best_word_of_a_subword_counts_wherever_it_stands(
    tmp_path: Path, subwords: SubwordVocabulary
) -> None:
    for lines, expected in [
        ("the 1\n", {"the": [1], " the": [1]}),
        ("the 1\n▁the 2\nĠthe 3\n▁the 4\n", {"the": [1], " the": [3]}),
        ("Ġthe 3\n▁the 2\nthe 1\n", {"the": [1], " the": [3]}),
        ("▁the 2\n", {" the": [2]}),
    ]:
        result = read(tmp_path / "a.txt", lines, subwords)
        assert found(result, subwords) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 1 2\nb 3\n", "line 2 must have 2 numbers, got 1: 'b 3'; correct or remove the line"),
        ("a 1 2\nb 3 4 5\n", "line 2 must have 2 numbers, got 3: 'b 3 4 5'"),
        ("2 2\na 1 2\nb 3\n", "line 3 must have 2 numbers, got 1"),
        ("a 1 2\nb 3 x\n", "line 2 must have numbers after its word: '3 x'; correct"),
        ("a 1 2\nb 3  4\n", "line 2 must have 2 numbers, got 3"),
        (
            "a 1 2\nb nan 4\n",
            "line 2 must have finite numbers, of at most 3.4e38 (float32): 'nan 4'",
        ),
        (
            "a 1 2\nb 1e39 4\n",
            "line 2 must have finite numbers, of at most 3.4e38 (float32): '1e39",
        ),
        (
            b"a 1 2\n\xffb 3 4\n",
            r"line 2 must be UTF-8 (invalid start byte at its byte 0): '\\xffb",
        ),
        ("3 2\na 1 2\nb 1 2\n", "its first line announces 3 words, and it has 2; it is cut off"),
        ("", "line 1 must be a word and its numbers, or their counts: ''"),
        ("word\n", "line 1 must be a word and its numbers, or their counts: 'word'"),
        ("x 1 2\nthe 1 2\n", "has no vector for any symbol of the vocabulary, such as '</s>',"),
        ("x 1 2\nthe 1 2\n", "its first words are 'x', 'the'. Give vectors of the vocabulary's"),
    ],
)
def test_what_is_wrong_with_a_text_is_named(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.txt", content)
    assert str(tmp_path / "a.txt") in str(error.value)
    assert message in str(error.value)


def test_numbers_of_other_words_are_not_read(tmp_path: Path) -> None:
    assert found(read(tmp_path / "a.txt", "a 1 2\nthe x y\n")) == {"a": [1, 2]}


def test_a_file_without_lines_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has a line of over 1048576 bytes"):
        read(tmp_path / "a.txt", b"x" * 2**21)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros([5, 3]), "the shape [vocabulary size, dim], here [6, dim], got [5, 3] float64"),
        (np.zeros([6]), "here [6, dim], got [6] float64"),
        (np.zeros([6, 2], "U3"), "here [6, dim], got [6, 2] <U3"),
        (np.full([6, 2], np.inf), "row 0 has a number that is not finite in float32"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError) as error:
        read_vectors(str(tmp_path / "a.npy"), ABC)
    assert message in str(error.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.npy is no \.npy array \("):
        read(tmp_path / "a.npy", "text")
    np.save(tmp_path / "b.npy", np.zeros([6, 2]))
    with pytest.raises(UserError, match=r"b\.npy is no \.npy array \("):
        read(tmp_path / "b.npy", (tmp_path / "b.npy").read_bytes()[:-8])
    with pytest.raises(UserError, match=r"a\.zip: a .zip is not read; unpack it"):
        read(tmp_path / "a.zip", GLOVE)
    with pytest.raises(UserError, match="no such file or directory"):
        read_vectors(str(tmp_path / "none.txt"), ABC)
    with pytest.raises(UserError, match="is a directory; give a file of vectors"):
        read_vectors(str(tmp_path), ABC)


@pytest.mark.parametrize("name", ["a.txt", "a.npy"])
def test_another_dimension_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.txt", GLOVE)
    np.save(tmp_path / "a.npy", np.zeros([6, 2]))
    with pytest.raises(OptionError) as error:
        read_vectors(str(tmp_path / name), ABC, dim=3)
    assert "vectors of `embedding_dim` (3) numbers, those of" in str(error.value)
    assert f"{name} have 2; leave --embedding_dim out" in str(error.value)
