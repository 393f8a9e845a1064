import itertools
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.preparing.vocabularies import load_vocabulary
from pipeline.vocabulary.base import (
    REPLACEMENT,
    ByteVocabulary,
    CharVocabulary,
    CodePoints,
    Vocabulary,
    token_dtype,
)

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))


def char_vocabulary(text: str) -> CharVocabulary:
    return CharVocabulary([ord(character) for character in text])


@given(unicode_text)
def test_char_decode_of_encode_is_the_text(text):
    vocabulary = char_vocabulary(text)
    ids = vocabulary.encode(text)
    assert ids.dtype == vocabulary.dtype
    assert len(ids) == len(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode_bytes(ids) == text.encode()


@given(st.binary())
def test_byte_decode_of_encode_is_any_bytes(data):
    vocabulary = ByteVocabulary()
    assert vocabulary.encode(data).tolist() == list(data)
    assert vocabulary.decode_bytes(vocabulary.encode(data)) == data


@given(unicode_text)
def test_byte_decode_of_encode_is_the_text(text):
    vocabulary = ByteVocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


@given(unicode_text, st.lists(st.integers(0, 40)))
def test_a_stream_may_be_cut_anywhere(text, cuts):
    data = text.encode()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    blocks = [data[a:b] for a, b in itertools.pairwise(bounds)]
    for vocabulary in (ByteVocabulary(), char_vocabulary(text)):
        encoder = vocabulary.encoder()
        ids = [encoder.encode(block, final=i == len(blocks) - 1) for i, block in enumerate(blocks)]
        np.testing.assert_array_equal(np.concatenate(ids), vocabulary.encode(text))
        decoder = vocabulary.decoder()
        pieces = [decoder.decode([i]) for i in vocabulary.encode(text)]
        assert "".join(pieces) + decoder.decode([], final=True) == text


def test_char_ids_are_sorted_by_code_point_the_separator_first():
    vocabulary = char_vocabulary("b日a\n𝄞b")
    assert vocabulary.characters == "\0\nab日𝄞"
    assert vocabulary.separator_id == 0
    assert vocabulary.encode("ab\n𝄞").tolist() == [2, 3, 1, 5]


def test_all_of_ascii_and_more_than_a_byte_of_ids():
    text = "".join(map(chr, range(1, 400)))
    vocabulary = char_vocabulary(text)
    assert (vocabulary.size, vocabulary.dtype) == (400, np.uint16)
    assert vocabulary.encode(text).tolist() == list(range(1, 400))
    ascii_only = char_vocabulary(text[:127])  # the path through bytes.translate
    assert ascii_only.encode(text[:127]).tolist() == list(range(1, 128))


@pytest.mark.parametrize(("size", "bits"), [(256, 8), (257, 16), (2**16, 16), (2**16 + 1, 32)])
def test_the_smallest_dtype_that_holds_the_ids(size, bits):
    assert token_dtype(size) == np.dtype(f"uint{bits}")


def test_missing_characters_are_named():
    with pytest.raises(UserError, match=r"lacks: 'x' \(U\+0078\), '€' \(U\+20AC\)"):
        char_vocabulary("abc").encode("axb€x")
    with pytest.raises(UserError, match=r"and 5 more"):
        char_vocabulary("").encode("abcdefghijklmno")


@given(st.binary(), st.integers(1, 5))
def test_errors_of_utf8_count_from_the_start_of_the_stream(data, block_bytes):
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


@pytest.mark.parametrize("vocabulary", [ByteVocabulary(), char_vocabulary("añ\n\0𝄞")])
def test_saved_and_loaded_it_is_the_same(tmp_path, vocabulary: Vocabulary):
    vocabulary.save(tmp_path)
    loaded = load_vocabulary(tmp_path)
    assert (loaded.kind, loaded.size) == (vocabulary.kind, vocabulary.size)
    assert loaded.fingerprint == vocabulary.fingerprint
    assert pickle.loads(pickle.dumps(loaded)).fingerprint == vocabulary.fingerprint
    assert loaded.decode(vocabulary.encode("añ")) == "añ"


def test_fingerprints_differ():
    vocabularies = [ByteVocabulary(), char_vocabulary("a"), char_vocabulary("b")]
    assert len({vocabulary.fingerprint for vocabulary in vocabularies}) == 3


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "char"}'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "vocabulary.json").write_text(content)
    with pytest.raises(UserError, match=r"vocabulary\.json is damaged"):
        load_vocabulary(tmp_path)


def test_unknown_or_absent_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_vocabulary(tmp_path)
    (tmp_path / "vocabulary.json").write_text(json.dumps({"kind": "runes"}))
    with pytest.raises(UserError, match="unknown `kind` 'runes'"):
        load_vocabulary(tmp_path)


def test_a_tolerant_vocabulary_replaces_if_it_can():
    vocabulary = CharVocabulary([*map(ord, "ab"), REPLACEMENT])
    assert vocabulary.tolerant().decode(vocabulary.tolerant().encode("aQb")) == "a\ufffdb"
    assert vocabulary.tolerant().fingerprint == vocabulary.fingerprint
    with pytest.raises(UserError, match="lacks: 'Q'"):
        char_vocabulary("ab").tolerant().encode("aQb")
    assert ByteVocabulary().tolerant().encode("Q").tolist() == [81]
