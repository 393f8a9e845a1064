"""Byte-level BPE: lossless, the same ids as `tokenizers`, the same bytes for any workers."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest
from corpora import files, text, write
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import textreel
from test_formats import documents
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.estimate import estimate
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.preparing.vocabularies import load_vocabulary
from pipeline.text.sources import find_sources
from pipeline.vocabulary import subword
from pipeline.vocabulary.subword import UNIT_BYTES, SubwordVocabulary, train_bpe

ENGLISH = "the cat sat on the mat, and the dog sat on the cat. <|endoftext|> naïve 日本語\r\n"


@functools.cache
def trained(size=400):
    return train_bpe([ENGLISH.encode() * 50, text(20_000).encode()], size)


def prepared(folder, source, **options):
    prepare([source], folder / "corpus", PrepareOptions(vocabulary="bpe:400", **options))
    return open_corpus(folder / "corpus")


def foreign(**changes):
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
def test_every_text_comes_back(content):
    vocabulary = trained()
    ids = vocabulary.encode(content)
    assert ids.dtype == np.dtype("<u2")
    assert vocabulary.separator_id not in ids
    assert vocabulary.decode_bytes(ids) == content.encode()
    slow = Tokenizer.from_str(vocabulary.to_json())
    slow = Tokenizer.from_str(json.dumps({**json.loads(slow.to_str()), "added_tokens": []}))
    assert ids.tolist() == slow.encode(content, add_special_tokens=False).ids


def test_a_special_token_in_a_text_is_text():
    vocabulary = trained()
    ids = vocabulary.encode("a<|endoftext|>b")
    assert vocabulary.separator_id not in ids
    assert vocabulary.decode(ids) == "a<|endoftext|>b"
    assert vocabulary.decode([vocabulary.separator_id]) == "\0"


@settings(max_examples=50, deadline=None)
@given(st.text("ab \n日", max_size=300), st.integers(1, 50), st.integers(20, 60))
def test_ids_do_not_depend_on_the_blocks(content, block_bytes, unit_bytes):
    vocabulary, data = trained(), content.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subword, "UNIT_BYTES", unit_bytes)
        whole = vocabulary.encoder().encode(data, final=True)
        encoder = vocabulary.encoder()
        parts = [
            encoder.encode(data[start : start + block_bytes])
            for start in range(0, len(data), block_bytes)
        ]
        parts.append(encoder.encode(b"", final=True))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert vocabulary.decode_bytes(whole) == data


def test_a_long_line_is_encoded_in_units():
    data = ("日本" * UNIT_BYTES).encode()
    vocabulary = trained()
    assert vocabulary.decode_bytes(vocabulary.encoder().encode(data, final=True)) == data


def test_invalid_text_is_placed(tmp_path):
    path = write(tmp_path / "x.txt", b"a\n" * UNIT_BYTES + b"\xff" + b"a" * 100)
    with pytest.raises(UserError, match=f"x.txt is not UTF-8 at byte {2 * UNIT_BYTES} "):
        prepared(tmp_path, path, splits={"train": 1.0})


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bytes(tmp_path, workers):
    for index in range(30):
        write(tmp_path / f"in/{index}.txt", text(3000, seed=index) + ENGLISH)
    write(tmp_path / "in/large.txt", text(300_000))
    options = PrepareOptions(vocabulary="bpe:500", shard_bytes=20_000, record_tokens=100)
    prepare([tmp_path / "in"], tmp_path / "out", options, workers=workers)
    found = files(tmp_path / "out")
    expected = tmp_path.parent / "expected_bpe"
    if not expected.exists():
        prepare([tmp_path / "in"], expected, options, workers=2)
    assert found == files(expected)
    assert "tokenizer.json" in found


def test_a_corpus_of_subwords(tmp_path):
    contents = {f"{index}.txt": ENGLISH * 30 + text(500, seed=index) for index in range(40)}
    for name, content in contents.items():
        write(tmp_path / "in" / name, content)
    corpus = prepared(tmp_path, tmp_path / "in", shard_bytes=8000, record_tokens=64)
    found = sorted(documents_of(corpus))
    assert found == sorted(content.encode() for content in contents.values())
    assert sum(split.num_bytes for split in corpus.splits.values()) == sum(map(len, found))
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


def documents_of(corpus):
    return [
        each for split in corpus.splits.values() for each in split_documents(corpus, split.shards)
    ]


def split_documents(corpus, shards):
    from pipeline.layout.records import read_records

    tokens = np.concatenate(
        [
            np.frombuffer(payload, corpus.vocabulary.dtype)
            for shard in shards
            for payload in read_records(f"{corpus.directory}/{shard.file}")
        ]
    )
    parts = np.split(tokens, np.flatnonzero(tokens == corpus.vocabulary.separator_id) + 1)
    assert len(parts.pop()) == 0
    return [corpus.vocabulary.decode_bytes(part[:-1]) for part in parts]


def test_rows_of_subwords(tmp_path):
    rows = [ENGLISH + text(50, seed=seed) for seed in range(300)]
    write(tmp_path / "x.jsonl", "".join(json.dumps({"text": row}) + "\n" for row in rows))
    corpus = prepared(tmp_path, tmp_path / "x.jsonl", text_field="text", shard_bytes=5000)
    assert sorted(documents_of(corpus)) == sorted(row.encode() for row in rows)


def test_another_vocabulary_is_taken(tmp_path):
    source = write(tmp_path / "a.txt", ENGLISH * 100)
    first = prepared(tmp_path, source, splits={"train": 1.0})
    for path in (tmp_path / "corpus", tmp_path / "corpus/tokenizer.json"):
        options = PrepareOptions(vocabulary=str(path), splits={"train": 1.0})
        prepare([source], tmp_path / "again", options, overwrite=True)
        again = open_corpus(tmp_path / "again")
        assert again.vocabulary.fingerprint == first.vocabulary.fingerprint
        assert str(tmp_path) not in (tmp_path / "again/manifest.json").read_text()
        shard = again.splits["train"].shards[0].file
        assert files(tmp_path / "again")[shard] == files(tmp_path / "corpus")[shard]


def test_a_published_tokenizer(tmp_path):
    path = write(tmp_path / "tokenizer.json", foreign())
    vocabulary = load_vocabulary(path)
    assert vocabulary.separator_id == 1
    assert vocabulary.size == 300
    without = SubwordVocabulary(foreign(added_tokens=[]))
    assert without.separator_id == without.size - 1 == 300
    assert without.decode_bytes(without.encode(ENGLISH)) == ENGLISH.encode()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalizer": {"type": "NFC"}}, r"changes text \(normalizer NFC\)"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "is not byte-level"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}, "adds a space"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "is a WordPiece model"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "lacks 255 of the 256 bytes"),
        ({"truncation": {"max_length": 5}}, "cuts text off"),
        ({"model": {}}, "no tokenizer.json of a byte-level BPE"),
    ],
)
def test_a_tokenizer_that_loses_text_is_refused(tmp_path, changes, message):
    path = write(tmp_path / "tokenizer.json", foreign(**changes))
    with pytest.raises(UserError, match=rf"tokenizer.json: .*{message}"):
        prepare([path], tmp_path / "out", PrepareOptions(vocabulary=str(path)))
    assert not (tmp_path / "out").exists()


def test_a_difference_is_an_error_that_shows_the_text(tmp_path, monkeypatch):
    source = write(tmp_path / "a.txt", ENGLISH * 100)

    class Wrong:
        def encode(self, unit):
            return np.array([5, 6, 7], np.uint32)

    vocabulary = trained()
    path = write(tmp_path / "tokenizer.json", vocabulary.to_json())
    monkeypatch.setattr(subword, "_fast", lambda content: Wrong())
    with pytest.raises(UserError, match=r"a.txt: gigatoken and tokenizers disagree .*the cat sat"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary=str(path)), workers=1)


@pytest.mark.parametrize("package", ["gigatoken", "tokenizers"])
def test_without_the_packages_it_says_what_to_install(tmp_path, package):
    write(tmp_path / "TEXT", ENGLISH * 100)
    program = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[0] = 'textreel'\n"
        "from pipeline import cli; cli.main_with(cli.build_parser)"
    )
    arguments = ["prepare", "TEXT", "--output", "OUT", "--vocabulary", "bpe:300", "--workers", "1"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={"PYTHONPATH": str(subword.__file__).rsplit("/", 2)[0]},
    )  # fmt: skip
    assert result.returncode == 1, result.stderr
    assert "pip install 'textreel[subword]'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vocabulary": "bpe:256"}, "between 257 and"),
        ({"vocabulary": "bpe:x"}, "`vocabulary` bpe:SIZE needs a number"),
        ({"vocabulary": "bpe"}, "`vocabulary` bpe:SIZE needs a number"),
        ({"vocabulary": "byte", "min_count": 2}, "`min_count` 2 has no effect"),
        ({"min_count": 0}, "`min_count` must be at least 1"),
        ({"unknown": "skip"}, "`unknown` must be error or replace"),
        ({"vocabulary": "char", "unknown": "replace"}, "`unknown` replace has no effect"),
    ],
)
def test_options_that_cannot_work(options, message):
    with pytest.raises(OptionError, match=message):
        PrepareOptions(**options)


def test_a_vocabulary_that_is_not_there(tmp_path):
    source = write(tmp_path / "a.txt", ENGLISH)
    with pytest.raises(UserError, match="`vocabulary` is byte, char, bpe:SIZE or an existing file"):
        prepare([source], tmp_path / "out", PrepareOptions(vocabulary="chars"))


def test_rare_characters(tmp_path):
    source = write(tmp_path / "a.txt", "aaa\n" * 100 + "b日日x\n")
    options = {"vocabulary": "char", "splits": {"train": 1.0}}
    for workers in (1, 2):
        prepare(
            [source], tmp_path / "out", PrepareOptions(**options, min_count=2, shard_bytes=64),
            workers=workers, overwrite=True,
        )  # fmt: skip
        corpus = open_corpus(tmp_path / "out")
        assert corpus.vocabulary.characters == "\0\na日\ufffd"
    (document,) = documents(corpus, "train")
    assert document.decode() == "aaa\n" * 100 + "\ufffd日日\ufffd\n"
    shard = next((tmp_path / "out").glob("*.tfrecord-*"))
    before = files(tmp_path / "out")
    shard.unlink()
    repair(tmp_path / "out", [source])
    assert files(tmp_path / "out") == before
    # Another text with this vocabulary.
    other = write(tmp_path / "b.txt", "aß日" * 50)
    given = {**options, "vocabulary": str(tmp_path / "out")}
    with pytest.raises(UserError, match="lacks: 'ß'"):
        prepare([other], tmp_path / "other", PrepareOptions(**given))
    replaced = PrepareOptions(**given, unknown="replace")
    prepare([other], tmp_path / "replaced", replaced)
    again = open_corpus(tmp_path / "replaced")
    assert again.vocabulary.fingerprint == corpus.vocabulary.fingerprint
    assert documents(again, "train") == ["a\ufffd日".encode() * 50]


def test_replacing_needs_the_replacement(tmp_path):
    source = write(tmp_path / "a.txt", "abc" * 100)
    options = PrepareOptions(vocabulary="char", splits={"train": 1.0})
    prepare([source], tmp_path / "out", options)
    given = PrepareOptions(vocabulary=str(tmp_path / "out"), unknown="replace")
    with pytest.raises(UserError, match="needs U\\+FFFD in the vocabulary"):
        prepare([source], tmp_path / "other", given)


def test_plan_of_subwords(tmp_path):
    source = write(tmp_path / "a.txt", (ENGLISH * 3 + text(300)) * 300)
    options = PrepareOptions(vocabulary="bpe:400", splits={"train": 1.0})
    manifest = prepare([source], tmp_path / "out", options)
    guess = estimate(find_sources([source]), options, workers=1)
    made = manifest.splits["train"].num_tokens
    assert guess.splits["train"].num_tokens == pytest.approx(made, rel=0.05)


def test_the_command(tmp_path):
    write(tmp_path / "TEXT", ENGLISH * 1000)
    result = textreel("prepare", "TEXT", "--output", "OUT", "--vocabulary", "bpe:300", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "vocabulary: bpe:300, 300 ids, stored as uint16" in result.stdout
    result = textreel("inspect", "OUT", cwd=tmp_path)
    assert "subword, 300 ids" in result.stdout
