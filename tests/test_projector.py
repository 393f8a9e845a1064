"""projector and events, as TensorBoard reads them."""

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.projector import ProjectorConfig
from tensorboard.util import tensor_util
from training import tiny

from pipeline import Corpus
from pipeline.vocabulary.base import ByteVocabulary, CharVocabulary
from trainer.loop import train
from trainer.reports.events import EventWriter, histogram_buckets
from trainer.reports.projector import MAX_TOKENS, symbol, write_embeddings


def read(directory: Path) -> tuple[np.ndarray, list[str]]:
    """The vectors and the symbols that the configuration names."""
    config = text_format.Parse(
        (directory / "projector_config.pbtxt").read_text(), ProjectorConfig()
    )
    (embedding,) = config.embeddings
    symbols = (directory / embedding.metadata_path).read_text().split("\n")
    assert symbols.pop() == ""
    return np.loadtxt(directory / embedding.tensor_path, delimiter="\t", ndmin=2), symbols


@pytest.mark.parametrize("prefix", ["", "file://"])
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
    assert symbol(b" the\n") == "␣the\\n"
    assert symbol("日本\u200b\U000e0001".encode()) == "日本\\u200b\\U000e0001"
    assert symbol(b"") == "∅"
    assert symbol("␣∅".encode()) == "\\u2423\\u2205"
    assert symbol("é".encode()[:1]) == "\\xc3"


def test_a_run_leaves_vectors_and_histograms_that_tensorboard_reads(
    char_corpus: Corpus, tmp_path: Path
) -> None:
    train(tiny(char_corpus.directory, tmp_path, histograms_every=5), quiet=True)
    events = EventAccumulator(str(tmp_path / "events"), {"tensors": 0, "scalars": 0})
    events.Reload()
    assert [event.step for event in events.Tensors("train/bits_per_byte")] == [4, 8, 12]
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

    vectors, symbols = read(tmp_path / "events")
    assert vectors.shape == (size, 8)
    assert symbols == [
        symbol(character.encode()) for character in char_corpus.vocabulary.characters
    ]


def test_no_histograms_unless_asked(char_corpus: Corpus, tmp_path: Path) -> None:
    train(tiny(char_corpus.directory, tmp_path, steps=2), quiet=True)
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    assert not [tag for tag in events.Tags()["tensors"] if tag.startswith("weights/")]


def test_buckets_are_of_equal_width_and_count_every_finite_value() -> None:
    values = np.random.default_rng(0).normal(size=(7, 100))
    buckets = histogram_buckets(values)
    np.testing.assert_allclose(np.diff(buckets[:, 0]), np.ptp(values) / 30)
    assert (buckets[0, 0], buckets[-1, 1]) == (values.min(), values.max())
    for left, right, count in buckets[:-1]:
        assert count == ((values >= left) & (values < right)).sum()
    assert buckets[:, 2].sum() == 700

    with_gaps = np.append(values, [np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(histogram_buckets(with_gaps), buckets)
    same = histogram_buckets(np.full(5, 2.0))
    assert (same[:, :2] == 2.0).all()
    assert same[:, 2].tolist() == [0.0] * 29 + [5.0]
    assert not histogram_buckets(np.array([np.nan])).any()


def test_texts_and_scalars_come_back(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.scalar("loss", 0.5, step=3)
    writer.text("sample", "a\nb", step=4)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (loss,) = events.Tensors("loss")
    (sample,) = events.Tensors("sample")
    assert (loss.step, tensor_util.make_ndarray(loss.tensor_proto).item()) == (3, 0.5)
    assert (sample.step, sample.tensor_proto.string_val[0]) == (4, b"    a\n    b")
