"""projector: the files, as TensorBoard reads them."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import ProjectorConfig
from tensorboard.util import tensor_util
from training import tiny

from pipeline import Corpus
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary
from trainer.loop import train
from trainer.reports.projector import MAX_TOKENS, symbol_text, write_embeddings


def read(directory: Path) -> tuple[np.ndarray, list[str]]:
    """The vectors and the symbols that the configuration names."""
    config = text_format.Parse(
        (directory / "projector_config.pbtxt").read_text(), ProjectorConfig()
    )
    (embedding,) = config.embeddings
    symbols = (directory / embedding.metadata_path).read_text().split("\n")
    assert symbols.pop() == ""
    return np.loadtxt(directory / embedding.tensor_path, delimiter="\t", ndmin=2), symbols


@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_every_token_has_a_vector_and_a_symbol(tmp_path: Path, prefix: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)
    write_embeddings(f"{prefix}{tmp_path}", np.zeros((256, 2)), ByteVocabulary())
    write_embeddings(f"{prefix}{tmp_path}", vectors, ByteVocabulary())
    found, symbols = read(tmp_path)
    np.testing.assert_allclose(found, vectors, rtol=1e-5)
    assert len(symbols) == len(set(symbols)) == 256
    assert [symbols[byte] for byte in b"\0\n\t\r \\aZ~\x7f\x80\xff"] == [
        *("\\u0000", "\\n", "\\t", "\\r", "␣", "\\\\", "a", "Z", "~", "\\u007f", "\\x80", "\\xff")
    ]


def test_of_a_large_vocabulary_the_first_tokens_are_written(tmp_path: Path) -> None:
    vocabulary = CharVocabulary(range(20_000))
    vectors = np.arange(20_000, dtype=np.float32)[:, np.newaxis]
    write_embeddings(str(tmp_path), vectors, vocabulary)
    found, symbols = read(tmp_path)
    assert len(found) == len(symbols) == len(set(symbols)) == MAX_TOKENS
    assert found[:, 0].tolist() == list(range(MAX_TOKENS))
    assert not any("\t" in line or not line.strip() for line in symbols)


def test_symbols_of_subwords() -> None:
    assert symbol_text(b" the\n") == "␣the\\n"
    assert symbol_text("日本\u200b\U000e0001".encode()) == "日本\\u200b\\U000e0001"
    assert symbol_text(b"") == "∅"
    assert symbol_text("␣∅".encode()) == "\\u2423\\u2205"
    assert symbol_text("é".encode()[:1]) == "\\xc3"


def test_marks_and_what_is_never_seen_are_shown() -> None:
    """An accent, a vowel sign, a shadda that are tokens of their own; the selector of an emoji."""
    for mark in ("\u0301", "\u0e34", "\u0651", "\u3099"):
        assert symbol_text(mark.encode()) == f"◌{mark}"
        assert symbol_text(f"a{mark}{mark}".encode()) == f"a{mark}{mark}"
        assert symbol_text(f"\n{mark}".encode()) == f"\\n◌{mark}"
        assert symbol_text(f"◌{mark}".encode()) == f"\\u25cc◌{mark}"
    assert symbol_text("❤\ufe0f".encode()) == "❤\\ufe0f"


def test_a_run_leaves_vectors_and_histograms_that_tensorboard_reads(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path, histograms_every=5), quiet=True)
    events = EventAccumulator(str(tmp_path / "events/train"), {"tensors": 0, "scalars": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("bits_per_byte")] == [4, 8, 12]
    tags = sorted(tag for tag in events.Tags()["tensors"] if tag.startswith("weights/"))
    assert len(tags) == 1 + 2 * 3 + 2  # embedding, two LSTM layers, logits
    sizes = []
    for tag in tags:
        assert events.summary_metadata[tag].plugin_data.plugin_name == "histograms"
        found = events.Tensors(tag)
        assert [event.step for event in found] == [5, 10, 12]
        buckets = tensor_util.make_ndarray(found[-1].tensor_proto)
        assert buckets.shape == (30, 3)
        sizes.append(int(buckets[:, 2].sum()))
    size = char_corpus.vocabulary.size
    lstms = (8 + 16 + 1) * 64 + (16 + 16 + 1) * 64
    assert sum(sizes) == size * 8 + lstms + (16 + 1) * size

    vectors, symbols = read(tmp_path / "events/train")
    assert vectors.shape == (size, 8)
    assert symbols == [
        symbol_text(character.encode()) for character in char_corpus.vocabulary.characters
    ]
