"""Bytes and characters as vocabularies."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.vocabulary.characters import (
    REPLACEMENT,
    ByteVocabulary,
    CharVocabulary,
    CodePoints,
)

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))


def char_vocabulary(text: str) -> CharVocabulary:
    return CharVocabulary([ord(character) for character in text])


@given(unicode_text)
def test_char_decode_of_encode_is_the_text(text: str) -> None:
    vocabulary = char_vocabulary(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == vocabulary.dtype
    assert len(ids) == len(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode_bytes(ids) == text.encode()


@given(st.binary())
def test_byte_decode_of_encode_is_any_bytes(data: bytes) -> None:
    vocabulary = ByteVocabulary()
    assert vocabulary.encode(data).tolist() == list(data)
    assert vocabulary.decode_bytes(vocabulary.encode(data)) == data


@given(unicode_text)
def test_byte_decode_of_encode_is_the_text(text: str) -> None:
    vocabulary = ByteVocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_char_ids_are_sorted_by_code_point_the_separator_first() -> None:
    vocabulary = char_vocabulary("b日a\n𝄞b")
    assert vocabulary.characters == "\0\nab日𝄞"
    assert vocabulary.separator_id == 0
    assert vocabulary.encode("ab\n𝄞").tolist() == [2, 3, 1, 5]


def test_all_of_ascii_and_more_than_a_byte_of_ids() -> None:
    text = "".join(map(chr, range(1, 400)))
    vocabulary = char_vocabulary(text)
    assert (vocabulary.size, vocabulary.dtype) == (400, np.uint16)
    assert vocabulary.encode(text).tolist() == list(range(1, 400))
    ascii_only = char_vocabulary(text[:127])  # the path through bytes.translate
    assert ascii_only.encode(text[:127]).tolist() == list(range(1, 128))


@pytest.mark.parametrize("size", [4, 128, 255, 256, 257])
def test_ascii_has_the_ids_of_a_vocabulary_of_any_size(size: int) -> None:
    """Whether a byte holds its ids, and one more for what is missing, or not."""
    vocabulary = char_vocabulary("ABC" + "".join(map(chr, range(0x4E00, 0x4E00 + size - 4))))
    assert (vocabulary.size, vocabulary.encode("CABBA").tolist()) == (size, [3, 1, 2, 2, 1])
    with pytest.raises(UserError, match=r"lacks: 'x' \(U\+0078\), 'y' \(U\+0079\);"):
        vocabulary.encode("AyBx")


def test_missing_characters_are_named() -> None:
    with pytest.raises(UserError, match=r"lacks: 'x' \(U\+0078\), '€' \(U\+20AC\)"):
        char_vocabulary("abc").encode("axb€x")
    with pytest.raises(UserError, match=r"and 5 more"):
        char_vocabulary("").encode("abcdefghijklmno")


@given(st.binary(), st.integers(1, 5))
def test_errors_of_utf8_count_from_the_start_of_the_stream(data: bytes, block_bytes: int) -> None:
    try:
        data.decode()
        expected = None
    except UnicodeDecodeError as error:
        expected = error.start
    decoder = CodePoints()
    offset = None
    try:
        for start in range(0, len(data), block_bytes):
            decoder.decode(data[start : start + block_bytes])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        offset = error.start
    assert offset == expected


def test_a_tolerant_vocabulary_replaces_if_it_can() -> None:
    vocabulary = CharVocabulary([*map(ord, "ab"), REPLACEMENT])
    assert vocabulary.tolerant().decode(vocabulary.tolerant().encode("aQb")) == "a\ufffdb"
    assert vocabulary.tolerant().fingerprint == vocabulary.fingerprint
    with pytest.raises(UserError, match="lacks: 'Q'"):
        char_vocabulary("ab").tolerant().encode("aQb")
    assert ByteVocabulary().tolerant().encode("Q").tolist() == [81]


def test_a_vocabulary_is_small_on_its_way_to_a_worker() -> None:
    """And still replaces, or not, when it is there."""
    for unknown, text in (("replace", "a\ufffdb"), ("error", None)):
        vocabulary = CharVocabulary([*map(ord, "ab"), REPLACEMENT], unknown=unknown)
        assert vocabulary.encode("ab").tolist() == [1, 2]  # its tables are there now
        sent = pickle.dumps(vocabulary)
        assert len(sent) < 1000
        there = pickle.loads(sent)
        if text is None:
            with pytest.raises(UserError, match="lacks: 'Q'"):
                there.encode("aQb")
        else:
            assert there.decode(there.encode("aQb")) == text


@pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_537])
def test_sizes_about_those_of_the_dtypes(size: int) -> None:
    """The id that means "none" is no symbol's; code points below and above U+FFFF."""
    points = np.setdiff1d(np.arange(size + 0x800), np.arange(0xD800, 0xE000))[:size]
    vocabulary = CharVocabulary(points)
    text = "".join(map(chr, points[1:]))
    ids = vocabulary.encoder().encode(text.encode(), final=True)
    assert ids.dtype == vocabulary.dtype
    np.testing.assert_array_equal(ids, np.arange(1, size))
    with pytest.raises(UserError, match=rf"U\+{points[-1] + 1:04X}"):
        vocabulary.encoder().encode(chr(points[-1] + 1).encode(), final=True)
