"""Byte-level BPE: lossless, the same ids as `tokenizers`, the same bytes for any workers."""

import functools
import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TRAIN, documents, files, prepared, text, write
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal import run_program, textreel_without
from tokenizer_files import BYTE_LEVEL, BYTES_ALONE, END, families, split, steps, tokenizer_json
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline import Corpus, OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.errors import TextWarning
from pipeline.vocabulary import encoding, subword
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.encoding import Encoding
from pipeline.vocabulary.loading import load_vocabulary
from pipeline.vocabulary.subword import SubwordVocabulary

ENGLISH = "the cat sat on the mat, and the dog sat on the cat. <|endoftext|> naïve 日本語\r\n"
BPE = "bpe:400"


@functools.cache
def trained(size: int = 400) -> SubwordVocabulary:
    return train_bpe([ENGLISH.encode() * 50, text(20_000).encode()], size)


def foreign(**changes: Any) -> str:
    """A tokenizer as a published model brings it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=alphabet, special_tokens=["<pad>", "</s>"],
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([ENGLISH], trainer)
    content = json.loads(tokenizer.to_str())
    return json.dumps({**content, **changes})


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_every_text_comes_back(content: str) -> None:
    vocabulary = trained()
    ids = vocabulary.encode(content)
    assert ids.dtype == np.dtype("<u2")
    assert vocabulary.separator_id not in ids
    assert vocabulary.decode_bytes(ids) == content.encode()
    slow = Tokenizer.from_str(vocabulary.to_json())
    slow = Tokenizer.from_str(json.dumps({**json.loads(slow.to_str()), "added_tokens": []}))
    assert ids.tolist() == slow.encode(content, add_special_tokens=False).ids


def test_a_special_token_in_a_text_is_text() -> None:
    vocabulary = trained()
    ids = vocabulary.encode("a<|endoftext|>b")
    assert vocabulary.separator_id not in ids
    assert vocabulary.decode(ids) == "a<|endoftext|>b"
    assert vocabulary.decode([vocabulary.separator_id]) == "\0"


@settings(max_examples=50, deadline=None)
@given(st.text("ab \n日", max_size=300), st.integers(1, 50), st.integers(20, 60))
def test_ids_do_not_depend_on_the_blocks(content: str, block_bytes: int, unit_bytes: int) -> None:
    vocabulary, data = trained(), content.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SubwordVocabulary, "unit_bytes", unit_bytes)
        whole = vocabulary.encoder().encode(data, final=True)
        encoder = vocabulary.encoder()
        parts = [
            encoder.encode(data[start : start + block_bytes])
            for start in range(0, len(data), block_bytes)
        ]
        parts.append(encoder.encode(b"", final=True))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert vocabulary.decode_bytes(whole) == data


def test_a_long_line_is_encoded_in_units() -> None:
    data = ("日本" * SubwordVocabulary.unit_bytes).encode()
    vocabulary = trained()
    assert vocabulary.decode_bytes(vocabulary.encoder().encode(data, final=True)) == data


@pytest.mark.parametrize("separator", ["<|endoftext|>", ""])
def test_documents_are_encoded_as_each_alone(
    monkeypatch: pytest.MonkeyPatch, separator: str
) -> None:
    """Short ones in one call, but those with characters that the libraries see differently."""
    monkeypatch.setattr(subword, "_SHORT_BYTES", 40)
    monkeypatch.setattr(subword, "_BATCH_DOCUMENTS", 5)
    vocabulary = trained()
    if not separator:
        vocabulary = SubwordVocabulary(json.dumps(tokenizer_json(BYTE_LEVEL)))
    assert (vocabulary.separator_id == vocabulary.size - 1) is not bool(separator)
    draw = random.Random(0)
    newest = "\U0001faea"
    for most in (3, 30, 60):
        rows = [text(draw.randrange(most), seed=seed) for seed in range(50)]
        many = [[], [""], [""] * 12, rows, [*rows, newest], [ENGLISH, *rows, ENGLISH * 9]]
        for given_texts in many:
            encoded = [each.encode() for each in given_texts]
            found = vocabulary.encode_documents(encoded)
            alone = [[*vocabulary.encode(each), vocabulary.separator_id] for each in encoded]
            assert [int(i) for ids in found for i in ids] == [int(i) for a in alone for i in a]
            assert all(ids.dtype == vocabulary.dtype for ids in found)


def test_encoding_starts_no_threads_and_imports_little() -> None:
    """gigatoken's other ways to take many texts import awkward-array."""
    program = (
        "import os, sys\n"
        "from pipeline.vocabulary.subword import SubwordVocabulary\n"
        "vocabulary = SubwordVocabulary(sys.argv[1])\n"
        "vocabulary.encode(b'one')\n"
        "before = len(os.listdir('/proc/self/task'))\n"
        "vocabulary.encode_documents([b'one', b'', b'two'])\n"
        "print(len(os.listdir('/proc/self/task')) - before, 'awkward' in sys.modules)\n"
    )
    assert run_program(program, trained().to_json()) == "0 False\n"


def test_a_row_whose_text_is_lost_is_an_error_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = trained()
    right = Encoding.encode_many

    def wrong(self: Encoding, texts: list[bytes]) -> Any:
        table, counts = right(self, texts) or pytest.fail("it needs `encode`")
        counts[1] -= 1
        return table, counts

    monkeypatch.setattr(Encoding, "encode_many", wrong)
    with pytest.raises(UserError, match=r"does not give this text back: '.*the mat"):
        vocabulary.encode_documents([b"the cat", b"sat on the mat", b""])


def test_invalid_text_is_placed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", b"a\n" * SubwordVocabulary.unit_bytes + b"\xff" + b"a" * 100)
    with pytest.raises(
        UserError, match=f"x.txt is not UTF-8 at byte {2 * SubwordVocabulary.unit_bytes} "
    ):
        prepared(tmp_path, path, vocabulary=BPE, splits=TRAIN)


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    for index in range(30):
        write(tmp_path / f"in/{index}.txt", text(3000, seed=index) + ENGLISH)
    write(tmp_path / "in/large.txt", text(300_000))
    options = PrepareOptions(vocabulary="bpe:500", shard_bytes=20_000, record_tokens=100)
    for workers in (1, 2, 3):
        prepare([tmp_path / "in"], tmp_path / f"{workers}", options, workers=workers)
    one, two, three = (files(tmp_path / f"{workers}") for workers in (1, 2, 3))
    assert one == two == three
    assert "tokenizer.json" in one


def test_a_corpus_of_subwords(tmp_path: Path) -> None:
    contents = {f"{index}.txt": ENGLISH * 30 + text(500, seed=index) for index in range(40)}
    for name, content in contents.items():
        write(tmp_path / "in" / name, content)
    chosen = {"vocabulary": BPE, "shard_bytes": 8000, "record_tokens": 64}
    corpus = prepared(tmp_path, tmp_path / "in", splits=TRAIN, **chosen)
    found = sorted(documents_of(corpus))
    assert found == sorted(content.encode() for content in contents.values())
    assert sum(split.text_bytes for split in corpus.splits.values()) == sum(map(len, found))
    assert corpus.vocabulary.kind == "subword"
    assert verify(corpus.directory).problems == ()
    for window in trace(corpus, "train", step=2, seq_len=40, batch_size=16):
        parts = [contents[p.source].encode()[p.start : p.stop] for p in window.passages]
        assert b"".join(parts).decode("utf-8", "replace") == window.text.replace("\0", "")
    inputs, targets = next(corpus.windows("train", seq_len=16, batch_size=8).as_numpy_iterator())
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    before = files(tmp_path / "corpus")
    bad = next((tmp_path / "corpus").glob("*.tfrecord-*"))
    bad.write_bytes(b"x")
    assert repair(tmp_path / "corpus", [tmp_path / "in"]) == (bad.name,)
    assert files(tmp_path / "corpus") == before


def documents_of(corpus: Corpus) -> list[bytes]:
    return [each for split in corpus.splits for each in documents(corpus, split)]


def test_rows_of_subwords(tmp_path: Path) -> None:
    rows = [ENGLISH + text(50, seed=seed) for seed in range(300)]
    write(tmp_path / "x.jsonl", "".join(json.dumps({"text": row}) + "\n" for row in rows))
    corpus = prepared(
        tmp_path, tmp_path / "x.jsonl", vocabulary=BPE, text_field="text", shard_bytes=5000
    )
    assert sorted(documents_of(corpus)) == sorted(row.encode() for row in rows)


def test_another_vocabulary_is_taken(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", ENGLISH * 100)
    first = prepared(tmp_path, source, vocabulary=BPE, splits=TRAIN)
    for path in (tmp_path / "corpus", tmp_path / "corpus/tokenizer.json"):
        options = PrepareOptions(vocabulary=str(path), splits=TRAIN)
        prepare([source], tmp_path / "again", options, workers=1, overwrite=True)
        again = open_corpus(tmp_path / "again")
        assert again.vocabulary.fingerprint == first.vocabulary.fingerprint
        assert str(tmp_path) not in (tmp_path / "again/manifest.json").read_text()
        shard = again.splits["train"].shards[0].file
        assert files(tmp_path / "again")[shard] == files(tmp_path / "corpus")[shard]


def test_a_published_tokenizer(tmp_path: Path) -> None:
    path = write(tmp_path / "tokenizer.json", foreign())
    vocabulary = load_vocabulary(path)
    assert vocabulary.separator_id == 1
    assert vocabulary.size == 300
    without = SubwordVocabulary(foreign(added_tokens=[]))
    assert without.separator_id == without.size - 1 == 300
    assert without.decode_bytes(without.encode(ENGLISH)) == ENGLISH.encode()


REMOVING = {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
GREEDY = {
    "id": 300, "content": "<x>", "special": False, "lstrip": True, "rstrip": False,
    "single_word": False, "normalized": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": {"type": "NFKC"}}, r"changes text \(normalizer NFKC\)"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "NFD"}]}},
            r"changes text \(normalizer NFD\)",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, r"changes text \(pre-tokenizer Whitespace\)"),
        ({"pre_tokenizer": {"type": "Digits", "individual_digits": True}}, "is not byte-level"),
        ({"pre_tokenizer": None}, "is not byte-level"),
        ({"pre_tokenizer": REMOVING}, r"removes text \(pre-tokenizer Split, Removed\)"),
        ({"added_tokens": [GREEDY]}, r"drops the spaces beside '<x>' \(lstrip, rstrip\)"),
        ({"model": {"type": "BPE", "vocab": {}, "dropout": 0.1}}, r"at random \(dropout\)"),
        (
            {"model": {"type": "BPE", "vocab": {}, "end_of_word_suffix": "</w>"}},
            r"marks words in the text \(end_of_word_suffix\)",
        ),
        (
            {"model": {"type": "BPE", "vocab": {}, "byte_fallback": True}},
            "is a SentencePiece model",
        ),
        ({"model": {"vocab": [["a", 0.0]], "unk_id": 0}}, "is a Unigram model"),
        ({"model": {"vocab": {"a": 0}}}, "is a WordPiece model"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "adds a space"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "is a WordPiece model"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "lacks 255 of the 256 bytes"),
        ({"truncation": {"max_length": 5}}, "cuts text off"),
        ({"model": {}}, "no tokenizer.json of a byte-level BPE"),
    ],
)
def test_a_tokenizer_that_loses_text_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "tokenizer.json", foreign(**changes))
    with pytest.raises(UserError, match=rf"tokenizer.json: .*{message}"):
        prepare([path], tmp_path / "out", PrepareOptions(vocabulary=str(path)))
    assert not (tmp_path / "out").exists()


NFC = {"type": "Sequence", "normalizers": [{"type": "NFC"}]}
DECOMPOSED = "e\u0301 \u1112\u1161\u11ab \u212a \u0344\n"


@pytest.mark.parametrize("normalizer", [NFC, {"type": "NFC"}])
def test_a_tokenizer_that_normalises_is_taken_by_name(
    tmp_path: Path, normalizer: dict[str, Any]
) -> None:
    path = write(tmp_path / "tokenizer.json", foreign(normalizer=normalizer))
    source = write(tmp_path / "a.txt", DECOMPOSED * 50)
    options = {"vocabulary": str(path), "splits": TRAIN}
    message = r"tokenizer.json: it changes text .*\(NFC\), .*`--normalize`"
    with pytest.raises(UserError, match=message):
        prepare([source], tmp_path / "corpus", PrepareOptions(**options))
    assert not (tmp_path / "corpus").exists()
    corpus = prepared(tmp_path, source, **options, normalize=True)
    (document,) = documents_of(corpus)
    assert document.decode() == unicodedata.normalize("NFC", DECOMPOSED * 50)
    assert corpus.splits["train"].text_bytes == len((DECOMPOSED * 50).encode())
    assert corpus.manifest.options["normalize"] is True
    assert corpus.vocabulary.normalizer == "NFC"
    before = files(tmp_path / "corpus")
    bad = next((tmp_path / "corpus").glob("*.tfrecord-*"))
    bad.unlink()
    repair(tmp_path / "corpus", [source])
    assert files(tmp_path / "corpus") == before


def test_normalizing_what_normalises_nothing_is_refused(tmp_path: Path) -> None:
    empty = {"type": "Sequence", "normalizers": []}
    path = write(tmp_path / "tokenizer.json", foreign(normalizer=empty))
    assert load_vocabulary(path).normalizer == ""
    with pytest.raises(OptionError, match=r"`normalize` has no effect: .*tokenizer\.json"):
        prepare([path], tmp_path / "c", PrepareOptions(vocabulary=str(path), normalize=True))


def test_a_difference_is_an_error_that_shows_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "a.txt", ENGLISH * 100)
    path = write(tmp_path / "tokenizer.json", trained().to_json())
    monkeypatch.setattr(Encoding, "encode", lambda *_: np.array([5, 6, 7], np.uint32))
    message = r"a.txt: gigatoken and tokenizers disagree .*the cat sat"
    with pytest.raises(UserError, match=message):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary=str(path)), workers=1)


def test_a_tokenizer_that_is_slow_says_so(tmp_path: Path) -> None:
    """What gigatoken does not know, `tokenizers` encodes, for any workers alike."""
    path = write(tmp_path / "tokenizer.json", json.dumps(families()["StarCoder, SmolLM"]))
    source = write(tmp_path / "a.txt", ENGLISH * 3000)
    options = PrepareOptions(vocabulary=str(path), splits=TRAIN, shard_bytes=100_000)
    for workers in (1, 2):
        with pytest.warns(TextWarning, match=r"pre-tokenizers \(Digits, ByteLevel\): .*3 MB/s"):
            prepare([source], tmp_path / f"{workers}", options, workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert documents_of(open_corpus(tmp_path / "1")) == [(ENGLISH * 3000).encode()]


def test_text_that_is_lost_is_an_error_wherever_it_stands(tmp_path: Path) -> None:
    """The pattern keeps what matches: no digit."""
    cuts = steps(split(r"\D+", "Removed", invert=True), BYTES_ALONE)
    path = write(tmp_path / "tokenizer.json", json.dumps(tokenizer_json(cuts, END)))
    source = write(
        tmp_path / "a.txt", "a text\n" * 2 * SubwordVocabulary.unit_bytes + "and 7 digits\n"
    )
    with (
        pytest.warns(TextWarning),
        pytest.raises(UserError, match=r"a.txt: .*does not give this text back: 'nd 7 digits"),
    ):
        prepared(tmp_path, source, vocabulary=str(path), splits=TRAIN)


def test_memory_does_not_grow_with_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """gigatoken's tokenizer is made anew when the process has grown, with the same ids."""
    monkeypatch.setattr(encoding, "_MEASURE_BYTES", 1)
    grown = iter([0, 2**40] * 100)
    monkeypatch.setattr(encoding._Gigatoken, "_grown_bytes", lambda _: next(grown))
    made = []
    original = encoding._Gigatoken._make
    monkeypatch.setattr(
        encoding._Gigatoken, "_make", lambda self: (made.append(1), original(self))[1]
    )
    vocabulary = SubwordVocabulary(trained().to_json())
    ids = [vocabulary.encode_unit(text(500, seed=seed).encode()) for seed in range(8)]
    assert len(made) > 2
    for seed, found in enumerate(ids):
        np.testing.assert_array_equal(found, trained().encode(text(500, seed=seed)))


@pytest.mark.parametrize("package", ["gigabpe", "gigatoken", "tokenizers"])
def test_without_the_packages_it_says_what_to_install(tmp_path: Path, package: str) -> None:
    write(tmp_path / "TEXT", ENGLISH * 100)
    arguments = ["prepare", "TEXT", "--output", "OUT", "--vocabulary", "bpe:300", "--workers", "1"]
    result = textreel_without(package, *arguments, cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "pip install 'textreel[subword]'" in result.stderr
    assert "Traceback" not in result.stderr
