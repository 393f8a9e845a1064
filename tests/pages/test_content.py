"""content: counts of a corpus are those of all its tokens; of a sample, they say so."""

from pathlib import Path

import numpy as np
import pytest
from corpora import TRAIN, make, prepared, text, tokens_of, write, write_many

from trainer.pages import content
from trainer.pages.content import measure_content, sample_windows


def test_the_counts_are_those_of_all_tokens(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, write_many(tmp_path / "texts", num_files=20), shard_bytes=4096)
    measured = measure_content(corpus)
    tokens = np.concatenate([tokens_of(corpus, split) for split in corpus.splits])
    expected = np.bincount(tokens, minlength=corpus.vocabulary.size)
    np.testing.assert_array_equal(measured.token_counts, expected)
    assert measured.share == 1


def test_a_document_over_several_shards_is_one_length(tmp_path: Path) -> None:
    corpus = make(tmp_path, "a line of it\n" * 3000, splits=TRAIN, shard_bytes=4096)
    assert len(corpus.manifest.shards) > 3
    assert measure_content(corpus).lengths.tolist() == [39_000]


def test_lengths_are_those_of_the_documents(tmp_path: Path) -> None:
    for index, words in enumerate(("one", "three", "")):
        write(tmp_path / f"texts/{index}.txt", words)
    corpus = prepared(tmp_path, tmp_path / "texts", splits=TRAIN)
    assert sorted(measure_content(corpus).lengths) == [3, 5]


def test_a_sample_is_bounded_and_leaves_out_what_it_cuts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(f'{{"text": "{"x" * 9}"}}\n' for _ in range(20_000))
    corpus = prepared(
        tmp_path, write(tmp_path / "rows.jsonl", lines), splits=TRAIN, text_field="text"
    )
    monkeypatch.setattr(content, "_STRETCH_BYTES", 1005)
    measured = measure_content(corpus, most_bytes=20_000)
    assert 19_000 <= measured.num_read <= 21_000
    assert measured.share == pytest.approx(0.1, rel=0.1)
    assert set(measured.lengths) == {9}


def test_windows_show_where_documents_end(tmp_path: Path) -> None:
    for index in range(30):
        write(tmp_path / f"texts/{index}.txt", text(100, seed=index))
    corpus = prepared(tmp_path, tmp_path / "texts", splits=TRAIN)
    samples = sample_windows(corpus, per_split=2)
    assert len(samples) == 2
    for sample in samples:
        assert len(sample.parts) > 2
        assert "\0" not in "".join(sample.parts)
