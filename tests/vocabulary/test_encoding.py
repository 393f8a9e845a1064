"""Two libraries encode as one: the ids are those of `tokenizers`, whoever encodes."""

import itertools
import json
import os
import pickle
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizer_files import BYTE_LEVEL, END, TEXT, families, fuzzed_texts, steps, tokenizer_json
from tokenizers import Tokenizer

from pipeline import UserError
from pipeline.vocabulary import encoding
from pipeline.vocabulary.subword import SubwordVocabulary

SLOW = ("BLOOM", "Falcon", "StarCoder, SmolLM")


def without_specials(tokenizer: dict[str, Any]) -> Tokenizer:
    """The library's own, with no special tokens; the others have the ids of the file."""
    tokens = tokenizer.get("added_tokens") or []
    others = [token for token in tokens if not token["special"]]
    vocab = {**tokenizer["model"]["vocab"], **{token["content"]: token["id"] for token in others}}
    content = {
        **tokenizer, "added_tokens": others, "model": {**tokenizer["model"], "vocab": vocab},
        "post_processor": None,
    }  # fmt: skip
    return Tokenizer.from_str(json.dumps(content))


def check_texts(tokenizer: dict[str, Any], texts: list[str]) -> None:
    vocabulary, slow = SubwordVocabulary(json.dumps(tokenizer)), without_specials(tokenizer)
    expected = slow.encode_batch_fast(texts, add_special_tokens=False)
    parts = []
    for text, one in zip(texts, expected, strict=True):
        ids = vocabulary.encode_unit(text.encode())
        assert ids.tolist() == one.ids, ascii(text)
        parts.append([*one.ids, vocabulary.separator_id])
        back = vocabulary.decode_bytes(ids).decode()
        assert back == text or (
            vocabulary.normalizer
            and unicodedata.normalize("NFC", back) == unicodedata.normalize("NFC", text)
        )
    for start in range(0, len(texts), 3):  # few, for one may keep all from the faster way
        some = [text.encode() for text in texts[start : start + 3]]
        together = np.concatenate(vocabulary.encode_documents(some)).tolist()
        assert together == list(itertools.chain.from_iterable(parts[start : start + 3])), some


@pytest.mark.parametrize("family", families())
def test_a_new_character_keeps_only_its_surroundings_from_the_faster_library(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U+1CEBA is of Unicode 17. Texts are cut wherever they may be."""
    monkeypatch.setattr(encoding, "_PART_BYTES", 1)
    tokenizer = families()[family]
    draw = random.Random(3)
    words = [
        "a",
        "I'm",
        "12",
        "; ",
        "/x",
        ".",
        "  ",
        "\t",
        "é",
        "日本",
        "\r\n",
        "\n",
        " b",
        " b c d",
    ]
    texts = ["".join(draw.choices([*words, "\U0001ceba"], k=40)) for _ in range(300)]
    check_texts(tokenizer, texts)
    monkeypatch.setattr(encoding, "_PART_BYTES", 100)
    vocabulary = SubwordVocabulary(json.dumps(tokenizer))
    slow: list[str] = []
    reference = encoding.Encoding._reference_of_unit
    monkeypatch.setattr(
        encoding.Encoding,
        "_reference_of_unit",
        lambda self, text: slow.append(text) or reference(self, text),
    )
    vocabulary.encode_unit(("word " * 1000 + "\U0001ceba" + " word" * 1000).encode())
    (text,) = slow
    assert (len(text) > 9000) == (family in SLOW)


@pytest.mark.parametrize("family", families())
def test_the_ids_are_those_of_tokenizers(family: str) -> None:
    tokenizer = families()[family]
    assert bool(SubwordVocabulary(json.dumps(tokenizer)).remark) == (family in SLOW)
    check_texts(tokenizer, fuzzed_texts(tokenizer, 2000))


@pytest.mark.campaign
@pytest.mark.parametrize("family", families())
def test_the_ids_are_those_of_tokenizers_for_100000_texts(family: str) -> None:
    tokenizer = families()[family]
    check_texts(tokenizer, fuzzed_texts(tokenizer, 100_000, seed=1))


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.skipif("TOKENIZERS" not in os.environ, reason="TOKENIZERS=FOLDER names no real files")
def test_the_ids_are_those_of_tokenizers_for_published_files() -> None:
    """For every file that is taken: 100,000 texts, and every character beside others."""
    taken = []
    for path in sorted(Path(os.environ["TOKENIZERS"]).rglob("tokenizer.json")):
        try:
            SubwordVocabulary(path.read_text())
        except UserError:
            continue
        tokenizer = json.loads(path.read_text())
        check_texts(tokenizer, fuzzed_texts(tokenizer, 100_000, seed=2))
        # All but unassigned planes, and private use beyond the first.
        points = (*range(0x80, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200))
        characters = list(map(chr, points))
        for around in ("a{}a", "'s{}'s !{}!", "e\u0301{}\u0323\u0301", "{}\u0338 1{}2"):
            check_texts(tokenizer, [around.format(*[each] * 2) for each in characters])
        taken.append(path)
    assert taken


def test_each_unit_has_the_ids_of_tokenizers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a cut parts what would be one added token, and where no newline is."""
    monkeypatch.setattr(SubwordVocabulary, "unit_bytes", 50)
    tokenizer = tokenizer_json(BYTE_LEVEL, *[("\n" * number, {}) for number in range(9, 1, -1)])
    vocabulary, slow = SubwordVocabulary(json.dumps(tokenizer)), without_specials(tokenizer)
    text = "a line\n\n\n\n  and\n" * 20 + "\n" * 333 + "日本語" * 40 + "\n\n"
    cuts, rest = [], text.encode()
    while len(rest) > 50:
        stop = rest.rfind(b"\n", 0, 50) + 1 or len(rest[:50].decode(errors="ignore").encode())
        cuts.append(rest[:stop].decode())
        rest = rest[stop:]
    expected = [slow.encode(each, add_special_tokens=False).ids for each in (*cuts, rest.decode())]
    assert vocabulary.encode(text).tolist() == list(itertools.chain(*expected))


def test_a_worker_that_is_spawned_gets_the_file_alone() -> None:
    vocabulary = SubwordVocabulary(json.dumps(families()["Llama 3"]))
    sent = pickle.dumps(vocabulary)
    assert vocabulary.remark == ""
    vocabulary.encode(TEXT)
    assert pickle.dumps(vocabulary) == sent
    np.testing.assert_array_equal(pickle.loads(sent).encode(TEXT), vocabulary.encode(TEXT))


SINGLE = {"single_word": True}
DOUBLED = tokenizer_json(steps(BYTE_LEVEL, {"type": "Digits", "individual_digits": False}), END)


@pytest.mark.parametrize(
    ("tokenizer", "because"),
    [
        (tokenizer_json({**BYTE_LEVEL, "use_regex": False}), "(ByteLevel, use_regex)"),
        (DOUBLED, "pre-tokenizers (ByteLevel, Digits)"),
    ],
)
def test_what_gigatoken_would_encode_otherwise_goes_to_tokenizers(
    tokenizer: dict[str, Any], because: str
) -> None:
    vocabulary = SubwordVocabulary(json.dumps(tokenizer))
    assert because in vocabulary.remark
    check_texts(tokenizer, fuzzed_texts(tokenizer, 300))


@pytest.mark.parametrize(
    "tokenizer",
    [
        tokenizer_json(BYTE_LEVEL, ("word", SINGLE)),
        tokenizer_json(BYTE_LEVEL, ("<a>", {"special": True}), (">b", {}), (">c", {})),
        tokenizer_json(BYTE_LEVEL, ("<a>b", {"special": True}), ("a>", {})),
        tokenizer_json(BYTE_LEVEL, ("<a>", {}), (">b", {"normalized": False}), ("b>", {})),
        tokenizer_json(BYTE_LEVEL, ("a>b", {}), (">b", {"normalized": False})),
        tokenizer_json(BYTE_LEVEL, ("e\u0301", {}), ("\u212a", {}), normalizer={"type": "NFC"}),
        tokenizer_json(BYTE_LEVEL, (">>", {}), ("<a", {}), normalizer={"type": "NFC"}),
        tokenizer_json(
            BYTE_LEVEL, ("a>", {"normalized": False}), ("\u0301", {}), normalizer={"type": "NFC"}
        ),
    ],
)
def test_added_tokens_that_gigatoken_may_find_elsewhere(tokenizer: dict[str, Any]) -> None:
    """The library itself, which reads no special token from text."""
    vocabulary = SubwordVocabulary(json.dumps(tokenizer))
    assert vocabulary.remark == ""
    slow = Tokenizer.from_str(json.dumps(tokenizer))
    slow.encode_special_tokens = True
    parts = (
        "<a",
        ">b",
        ">",
        ">>",
        "b",
        "a",
        "c",
        " ",
        "word",
        "é",
        "\u0301",
        "K",
        "\u212a",
        "\u0338",
    )
    chosen = random.Random(0)
    for _ in range(3000):
        text = "".join(chosen.choices(parts, k=chosen.randint(1, 9)))
        found = vocabulary.encode_unit(text.encode()).tolist()
        assert found == slow.encode(text, add_special_tokens=False).ids, ascii(text)
        (row,) = vocabulary.encode_documents([text.encode()])
        assert row.tolist() == [*found, vocabulary.separator_id], ascii(text)
