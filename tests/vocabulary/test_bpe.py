"""Learning merges: those of `tokenizers`, in bounded time."""

import random
import string
import time
from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.vocabulary import bpe
from pipeline.vocabulary.bpe import RUN_CHARACTERS, train_bpe

SIZES = (257, 258, 300, 700)
PIECES: dict[str, Sequence[str]] = {
    "few characters": "ab \n\r",
    "many characters": [*map(chr, range(1, 0x300)), "日", "本", "𝄞"],
    "words": [
        "the ",
        "cat ",
        "dog's ",
        "\n\n    ",
        "\r\n",
        "日本語",
        "é",
        "  ",
        "12",
        " 45",
        "...!",
    ],
    "lines": [*string.ascii_lowercase, " ", "\n", "\n    ", "\n\n", "<|endoftext|>"],
}


def learned_by_tokenizers(text: str, size: int) -> str:
    """The whole tokenizer, as the library trains it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return str(tokenizer.to_str())


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
def test_a_vocabulary_is_that_of_tokenizers(pieces: Sequence[str]) -> None:
    """Ties included: most counts of a short text are equal."""
    source = random.Random(len(pieces))
    for length in (1, 30, 300, 300, 300, 3000, 20_000):
        text = "".join(source.choices(pieces, k=length)).replace("\v", "")
        for size in SIZES:
            assert train_bpe([text.encode()], size).to_json() == learned_by_tokenizers(text, size)


def test_all_bytes_have_ids() -> None:
    vocabulary = train_bpe([b""], 300)
    assert (vocabulary.size, vocabulary.separator_id) == (257, 0)
    assert sorted(vocabulary.bytes_of_ids) == sorted([b"\0", *(bytes([b]) for b in range(256))])
    assert train_bpe([b"\xff\xfe", b""], 300).to_json() == vocabulary.to_json()


def test_a_vertical_tab_is_not_lost() -> None:
    vocabulary = train_bpe([b"a\vb\n" * 10], 300)
    assert vocabulary.decode(vocabulary.encode("a\vb\n\n\v")) == "a\vb\n\n\v"


def test_long_runs_are_cut() -> None:
    """No merge is of two pieces, and what is short stays as it is."""
    source = random.Random(0)
    dna = "".join(source.choices("ACGT", k=RUN_CHARACTERS))
    assert bpe._sampled(dna) == dna.encode()
    assert bpe._sampled(dna + "é" * 300) == f"{dna}\v{'é' * 256}\v{'é' * 44}".encode()
    assert bpe._sampled("a" + " " * 1000 + "b") == b"a" + b" " * 256 + b"b"
    assert bpe._sampled("日本語。" * 100).decode().replace("\v", "") == "日本語。" * 100


def test_text_without_spaces_takes_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one word, it takes time with the square of its length."""
    text = "".join(random.Random(0).choices("ACGT", k=2_000_000)).encode()
    seconds = []
    for runs in (bpe._LONG_RUNS, ()):
        monkeypatch.setattr(bpe, "_LONG_RUNS", runs)
        started = time.process_time()
        assert train_bpe([text], 4096).size == 4096
        seconds.append(time.process_time() - started)
    assert seconds[0] < seconds[1] / 2
