"""SentencePiece: the ids of its own library, and the text that a model leaves."""

import functools
import importlib.util
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TRAIN, documents, files, prepared, text, write
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_models import ENGLISH, SENTENCE_MODELS, sentence_model
from sentencepiece import SentencePieceProcessor
from terminal import textreel_without

from pipeline import Corpus, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.vocabulary.loading import load_vocabulary
from pipeline.vocabulary.sentence_pieces import SentencePieceVocabulary

LOSSLESS = ("gemma", "unigram")


@functools.cache
def library(kind: str) -> Any:
    return SentencePieceProcessor(model_proto=sentence_model(kind))


def vocabulary(kind: str, unknown: str = "replace") -> SentencePieceVocabulary:
    return SentencePieceVocabulary(sentence_model(kind), unknown=unknown)


def model_file(folder: Path, kind: str) -> Path:
    return write(folder / "tokenizer.model", sentence_model(kind))


PIECES = ["the ", "cat", " ", "  ", "\n", "\n\n", "\t", "é", "日本", "𝄞", "\0", "<s>", "</s>"]
PIECES += ["<unk>", "<0x0A>", "<|im|>", "12345", "ﬁ", "①", "\u3000", "\ufffd", "a", "Z", "\r\n"]
any_text = st.one_of(
    st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
)


@pytest.mark.parametrize("kind", SENTENCE_MODELS)
@settings(max_examples=500, deadline=None)
@given(any_text)
def test_ids_are_the_librarys(kind: str, content: str) -> None:
    ids = vocabulary(kind).encode(content)
    assert ids.dtype == vocabulary(kind).dtype
    assert ids.tolist() == library(kind).encode(content)
    assert vocabulary(kind).separator_id not in ids
    if library(kind).unk_id() not in ids:
        normalized = library(kind).normalize(content).replace("▁", " ")
        assert vocabulary(kind).decode(ids) == normalized
        decoded = library(kind).decode(ids.tolist())
        assert decoded in (normalized, normalized.removeprefix(" "))


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=200, deadline=None)
@given(any_text)
def test_every_text_comes_back_from_a_model_that_normalises_nothing(
    kind: str, content: str
) -> None:
    if "▁" not in content:
        assert vocabulary(kind, "error").decode_bytes(vocabulary(kind).encode(content)) == (
            content.encode()
        )


def test_which_models_normalise() -> None:
    found = {kind: vocabulary(kind).normalizer for kind in SENTENCE_MODELS}
    every = "nmt_nfkc, add_dummy_prefix, remove_extra_whitespaces"
    assert found == {
        "llama": "add_dummy_prefix", "gemma": "", "unigram": "", "t5": every, "no end": every
    }  # fmt: skip


def test_the_separator_is_the_end_of_a_sentence() -> None:
    for kind, expected in {"llama": 2, "t5": 1, "no end": vocabulary("no end").size - 1}.items():
        found = vocabulary(kind)
        assert found.separator_id == expected
        assert found.bytes_of_ids[expected] == b"\0"
        assert len(found.bytes_of_ids) == found.size
    assert vocabulary("no end").size == library("no end").get_piece_size() + 1


def test_a_stream_of_ids_gives_whole_characters() -> None:
    ids = vocabulary("unigram").encode("a 𝄞 naïve")
    decoder = vocabulary("unigram").decoder()
    assert "".join(decoder.decode([token]) for token in ids) == "a 𝄞 naïve"


@pytest.mark.parametrize("kind", ["gemma", "llama"])
def test_units_are_cut_at_newlines(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dummy prefix stands at the beginning of each."""
    monkeypatch.setattr(SentencePieceVocabulary, "unit_bytes", 30)
    lines = [f"a line {number:02}\n" for number in range(21)]
    parts = ["".join(lines[start : start + 3]) for start in range(0, 21, 3)]
    expected = [token for part in parts for token in library(kind).encode(part)]
    found = vocabulary(kind).encode("".join(lines))
    assert found.tolist() == expected
    prefix = " " if kind == "llama" else ""
    assert vocabulary(kind).decode(found) == "".join(prefix + part for part in parts)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_corpus_gives_the_text_back(tmp_path: Path, kind: str) -> None:
    contents = [ENGLISH * 30 + text(500, seed=seed) for seed in range(30)]
    for index, content in enumerate(contents):
        write(tmp_path / f"in/{index}.txt", content)
    options = PrepareOptions(
        vocabulary=str(model_file(tmp_path, kind)), shard_bytes=8000, record_tokens=64, splits=TRAIN
    )
    for workers in (1, 3):
        prepare([tmp_path / "in"], tmp_path / f"{workers}", options, workers=workers)
    assert files(tmp_path / "1") == files(tmp_path / "3")
    assert files(tmp_path / "1")["tokenizer.model"] == sentence_model(kind)
    corpus = open_corpus(tmp_path / "1")
    assert sorted(documents_of(corpus)) == sorted(content.encode() for content in contents)
    assert verify(corpus.directory).problems == ()
    (tmp_path / "1/tokenizer.model").write_bytes(sentence_model(kind)[:-1])
    with pytest.raises(UserError, match=r"tokenizer\.model"):
        open_corpus(tmp_path / "1")


def documents_of(corpus: Corpus) -> list[bytes]:
    return [each for split in corpus.splits for each in documents(corpus, split)]


def test_a_model_that_normalises_must_be_wanted(tmp_path: Path) -> None:
    source = write(tmp_path / "in/a.txt", "ﬁne  words\n" + ENGLISH * 200)
    path = str(model_file(tmp_path, "llama"))
    with pytest.raises(UserError, match=r"model: it changes text .*\(add_dummy_prefix\)"):
        prepare([source], tmp_path / "corpus", PrepareOptions(vocabulary=path))
    assert not (tmp_path / "corpus").exists()
    corpus = prepared(
        tmp_path, source, vocabulary=path, normalize=True, splits=TRAIN, shard_bytes=4000
    )
    pieces = [piece.decode() for piece in documents_of(corpus)]
    assert "".join(pieces).replace("\n The", "\nThe") == " ﬁne  words\n" + ENGLISH * 200
    assert verify(corpus.directory).problems == ()
    for window in trace(corpus, "train", step=1, seq_len=20, batch_size=16):
        assert all(p.stop <= source.stat().st_size for p in window.passages)
    before = files(tmp_path / "corpus")
    bad = next((tmp_path / "corpus").glob("*.tfrecord-*"))
    bad.unlink()
    repair(tmp_path / "corpus", [source])
    assert files(tmp_path / "corpus") == before


def test_rows_of_a_model_that_lacks_characters(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.txt", "the cat\nжю sat жюжю on\nthe mat\n" * 50)
    path = str(model_file(tmp_path, "t5"))
    given = {"vocabulary": path, "normalize": True, "document": "line", "splits": TRAIN}
    lacks = "characters that the model lacks, .*'ж' \\(U\\+0436\\).*`--unknown replace`"
    with pytest.raises(UserError, match=rf"rows.txt.*{lacks}"):
        prepared(tmp_path, rows, **given)
    corpus = prepared(tmp_path, rows, **given, unknown="replace")
    first = [document.decode() for document in documents(corpus, "train")[:3]]
    assert first[0::2] == [" the cat", " the mat"]
    assert first[1].replace(" ", "").strip("\ufffd") == "sat\ufffdon"


def test_what_stands_for_a_space_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "a▁b\n" + ENGLISH * 100)
    options = {"vocabulary": str(model_file(tmp_path, "unigram")), "splits": TRAIN}
    with pytest.raises(UserError, match=r"a.txt: ▁ \(U\+2581\) is what SentencePiece writes"):
        prepared(tmp_path, source, **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no SentencePiece model"),
        (b"{}", "no SentencePiece model"),
        (b"\x0a\x05abc", "no SentencePiece model"),
        (b"IQ== 0\nIg== 1\n", "a list of ranks, as tiktoken has it.* take the tokenizer.json"),
    ],
)
def test_another_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / "tokenizer.model.v9", content)
    with pytest.raises(UserError, match=rf"tokenizer\.model\.v9: .*{message}"):
        load_vocabulary(path)


def test_a_damaged_model_is_taken_or_named() -> None:
    source = random.Random(5)
    for _ in range(150):
        data = bytearray(sentence_model("llama"))
        for _ in range(source.choice((1, 5))):
            data[source.randrange(len(data))] = source.randrange(256)
        try:
            found = SentencePieceVocabulary(bytes(data[: source.choice((len(data), 5000))]))
            found.decode_bytes(found.encode("the cat"))
        except UserError:
            pass


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", ENGLISH)
    model_file(tmp_path, "gemma")
    result = textreel_without(
        "sentencepiece", "prepare", "TEXT", "--output", "OUT", "--vocabulary", "tokenizer.model",
        cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 1
    assert "pip install 'textreel[sentencepiece]'" in result.stderr
    assert "Traceback" not in result.stderr


def published() -> list[Path]:
    """The models that a package brings, which need not be imported."""
    found = importlib.util.find_spec("mistral_common")
    if found is None or found.origin is None:
        return []
    return sorted((Path(found.origin).parent / "data").glob("*.model*"))


@pytest.mark.skipif("not published()", reason="wants: pip install --no-deps mistral-common")
def test_published_models() -> None:
    for path in published():
        found = load_vocabulary(path)
        theirs = SentencePieceProcessor(model_file=str(path))
        source = random.Random(1)
        for _ in range(1000):
            content = "".join(source.choices(PIECES, k=source.randrange(40)))
            ids = found.encode(content)
            assert ids.tolist() == theirs.encode(content)
            assert found.decode(ids) == theirs.normalize(content).replace("▁", " ")
        assert ids.dtype == np.dtype("<u2")
