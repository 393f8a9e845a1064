"""What all vocabularies share."""

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.vocabulary.base import Vocabulary, token_dtype
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from pipeline.vocabulary.loading import load_vocabulary

unicode_text = st.text(st.characters(exclude_categories=["Cs"]))


def char_vocabulary(text: str) -> CharVocabulary:
    return CharVocabulary([ord(character) for character in text])


@pytest.mark.parametrize(
    ("size", "dtype"), [(256, "uint8"), (257, "uint16"), (2**16, "uint16"), (2**16 + 1, "int32")]
)
def test_the_smallest_dtype_that_holds_the_ids(size: int, dtype: str) -> None:
    assert token_dtype(size) == np.dtype(dtype)


@given(unicode_text, st.lists(st.integers(0, 40)))
def test_a_stream_may_be_cut_anywhere(text: str, cuts: list[int]) -> None:
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


def test_an_unfinished_character_is_held_back() -> None:
    decoder = ByteVocabulary().decoder()
    assert [decoder.decode([byte]) for byte in "é!".encode()] == ["", "é", "!"]
    assert decoder.decode([0xC3]) == ""
    assert decoder.decode([], final=True) == "\ufffd"


@pytest.mark.parametrize("vocabulary", [ByteVocabulary(), char_vocabulary("ab日")])
def test_documents_are_encoded_each_with_its_separator(vocabulary: Vocabulary) -> None:
    ids = np.concatenate(vocabulary.encode_documents([b"ab", b"", "日".encode()]))
    assert vocabulary.decode(ids) == "ab\0\0日\0"
    assert np.flatnonzero(ids == vocabulary.separator_id).tolist() == [2, 3, len(ids) - 1]


@pytest.mark.parametrize("vocabulary", [ByteVocabulary(), char_vocabulary("añ\n\0𝄞")])
def test_saved_and_loaded_it_is_the_same(tmp_path: Path, vocabulary: Vocabulary) -> None:
    vocabulary.save(tmp_path)
    loaded = load_vocabulary(tmp_path)
    assert (loaded.kind, loaded.size) == (vocabulary.kind, vocabulary.size)
    assert loaded.fingerprint == vocabulary.fingerprint
    assert pickle.loads(pickle.dumps(loaded)).fingerprint == vocabulary.fingerprint
    assert loaded.decode(vocabulary.encode("añ")) == "añ"


def test_fingerprints_differ() -> None:
    vocabularies = [ByteVocabulary(), char_vocabulary("a"), char_vocabulary("b")]
    assert len({vocabulary.fingerprint for vocabulary in vocabularies}) == 3
