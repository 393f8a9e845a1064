"""Files `tokenizer.json`: what they say, however they are written."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tokenizer_files import BYTE_LEVEL, END, SPACES, old_layout, tokenizer_json

from pipeline import UserError
from pipeline.vocabulary.tokenizer_json import read_tokenizer_json

FILE = tokenizer_json(BYTE_LEVEL, END, *SPACES)


def test_what_it_says() -> None:
    found = read_tokenizer_json(json.dumps(FILE))
    size = len(FILE["model"]["vocab"])
    assert found.specials == {"<|endoftext|>": size}
    assert [token["content"] for token in found.added] == [content for content, _ in SPACES]
    assert found.tokens[size + 1] == b" " * 24
    assert found.tokens[FILE["model"]["vocab"]["Ġ"]] == b" "
    assert found.steps == (BYTE_LEVEL,)
    assert not found.has_foreign_tokens


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(FILE),
        json.dumps(FILE, indent=2, ensure_ascii=False),
        json.dumps(dict(reversed(FILE.items())), separators=(",", ":")),
        " \n" + json.dumps({"model_": {"model": {}}, **FILE}) + "\n",
    ],
)
def test_the_model_is_found_where_it_stands(written: str) -> None:
    found = read_tokenizer_json(written)
    assert json.loads(written[slice(*found.model)]) == FILE["model"]
    assert found.tokens == read_tokenizer_json(json.dumps(FILE)).tokens


def test_files_of_before_09_have_no_type_and_no_added_tokens() -> None:
    found = read_tokenizer_json(json.dumps(old_layout()))
    assert (found.specials, found.added) == ({}, ())
    assert len(found.tokens) == len(old_layout()["model"]["vocab"])


def test_tokens_that_are_no_bytes_stand_for_themselves() -> None:
    content = tokenizer_json(BYTE_LEVEL)
    vocab = {**content["model"]["vocab"], "▁the": 999}
    found = read_tokenizer_json(
        json.dumps({**content, "model": {**content["model"], "vocab": vocab}})
    )
    assert found.tokens[999] == "▁the".encode()
    assert found.has_foreign_tokens


@pytest.mark.parametrize(
    ("normalizer", "expected"),
    [
        (None, ""),
        ({"type": "Sequence", "normalizers": []}, ""),
        ({"type": "NFC"}, "NFC"),
        (
            {
                "type": "Sequence",
                "normalizers": [{"type": "Sequence", "normalizers": [{"type": "NFC"}]}],
            },
            "NFC",
        ),
    ],
)
def test_normalizers_are_named(normalizer: Any, expected: str) -> None:
    assert (
        read_tokenizer_json(json.dumps({**FILE, "normalizer": normalizer})).normalizer == expected
    )


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"model": 5}', '{"model": {"merges": 5}}', "{" * 99]
)
def test_what_is_none_says_so(content: str) -> None:
    with pytest.raises(UserError, match=r"no tokenizer\.json of a byte-level BPE"):
        read_tokenizer_json(content)


REFUSED = {
    "changes text (normalizer NFKC)": {**FILE, "normalizer": {"type": "NFKC"}},
    "is a SentencePiece model": {**FILE, "model": {**FILE["model"], "byte_fallback": True}},
    "is a Unigram model": {**FILE, "model": {"type": "Unigram", "vocab": []}},
    "is a WordPiece model": {**FILE, "model": {"type": "WordPiece", "vocab": {}}},
    "marks words in the text": {**FILE, "model": {**FILE["model"], "end_of_word_suffix": "</w>"}},
    "adds a space before text": {
        **FILE, "pre_tokenizer": {**BYTE_LEVEL, "add_prefix_space": True},
    },
    "drops the spaces beside ": tokenizer_json(BYTE_LEVEL, ("<mask>", {"lstrip": True})),
}  # fmt: skip


def test_what_is_refused_is_documented_with_its_words() -> None:
    text = (Path(__file__).parents[2] / "docs/tokenizers.md").read_text()
    assert set(re.findall("refused: `([^`…]*)", text)) == REFUSED.keys()
    for words, content in REFUSED.items():
        remedy = (
            r".*take the tokenizer\.model" if "SentencePiece" in words or "Unigram" in words else ""
        )
        with pytest.raises(UserError, match=f"^the tokenizer {re.escape(words)}{remedy}"):
            read_tokenizer_json(json.dumps(content))
    # A special token that takes the spaces beside it is never found in text.
    mask = tokenizer_json(BYTE_LEVEL, ("<mask>", {"lstrip": True, "special": True}))
    assert read_tokenizer_json(json.dumps(mask)).added == ()
