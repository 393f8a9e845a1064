"""Estimates against the corpora that are made."""

import random
from pathlib import Path
from typing import Any

import pytest
from corpora import prepared, text, write
from samples import json_lines

from pipeline import PrepareOptions
from pipeline.auditing.estimate import Estimate, estimate
from pipeline.layout.manifest import Manifest
from pipeline.preparing.plan import make_plan
from pipeline.reading.geometry import Windows
from pipeline.text.sources import find_sources

ENGLISH = "the cat sat on the mat, and the dog sat on the cat. <|endoftext|> naïve 日本語\r\n"


def made_and_estimated(
    folder: Path, source: Path, *, windows: Windows | None = None, **chosen: Any
) -> tuple[Manifest, Estimate]:
    manifest = prepared(folder, source, **chosen).manifest
    options = PrepareOptions(**chosen)
    plan = make_plan(find_sources([source], reading=options.reading).sources, options)
    return manifest, estimate(plan, options, workers=2, windows=windows)


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_short_texts_are_exact(tmp_path: Path, vocabulary: str) -> None:
    for index in range(40):
        write(tmp_path / f"in/{index}.txt", text(1000, seed=index))
    windows = Windows(seq_len=20, stride=7)
    manifest, guess = made_and_estimated(
        tmp_path, tmp_path / "in", windows=windows, vocabulary=vocabulary, shard_bytes=5000,
        record_tokens=200,
    )  # fmt: skip
    assert guess.token_error == 0
    assert guess.vocabulary_size == manifest.vocabulary_size
    for name, split in manifest.splits.items():
        of_split = guess.splits[name]
        assert of_split.text_bytes == split.text_bytes
        assert of_split.num_shards == len(split.shards)
        assert of_split.num_documents == split.num_documents
        assert of_split.num_tokens == pytest.approx(split.num_tokens, rel=0.03)
        exact = windows.first_windows([shard.num_tokens for shard in split.shards])[-1]
        assert of_split.num_windows == pytest.approx(exact, rel=0.03)
    tokens, guessed = (
        sum(split.num_tokens for split in splits.splits.values()) for splits in (manifest, guess)
    )
    assert guessed == pytest.approx(tokens, abs=2 * len(manifest.splits))  # rounding, a shard each
    on_disk = sum(split.disk_bytes for split in manifest.splits.values())
    assert guess.disk_bytes == pytest.approx(on_disk, rel=0.05)


def test_long_texts_are_within_their_error(tmp_path: Path) -> None:
    # Stretches of 200 kB, some of three bytes a character: a hard case for a sample.
    source = random.Random(0)
    parts = [source.choice(["abcdefgh ", "日本語日本語"]) * 20_000 for _ in range(60)]
    path = write(tmp_path / "in/x.txt", "\n".join(parts))
    manifest, guess = made_and_estimated(tmp_path, path, vocabulary="char", shard_bytes=2**20)
    tokens = sum(split.num_tokens for split in manifest.splits.values())
    guessed = sum(split.num_tokens for split in guess.splits.values())
    assert 0 < guess.token_error < 0.5
    assert abs(guessed / tokens - 1) <= guess.token_error
    assert guess.seconds > 0


def test_estimates_of_rows(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "x.jsonl", [text(50, seed=seed) for seed in range(2000)])
    manifest, guess = made_and_estimated(
        tmp_path, path, windows=Windows(seq_len=10, stride=10), text_field="text",
        vocabulary="char", splits={"train": 0.5, "test": 0.5},
    )  # fmt: skip
    for name, split in manifest.splits.items():
        assert guess.splits[name].num_tokens == pytest.approx(split.num_tokens, rel=0.1)
        assert guess.splits[name].num_documents == pytest.approx(split.num_documents, rel=0.1)
        assert guess.splits[name].text_bytes == pytest.approx(split.text_bytes, rel=0.1)


def test_separators_are_tokens(tmp_path: Path) -> None:
    """Two characters a line, and what ends it."""
    path = write(tmp_path / "x", "ab\n" * 5000)
    chosen = {"document": "line", "splits": {"train": 1.0}}
    manifest, guess = made_and_estimated(tmp_path, path, **chosen)
    assert manifest.splits["train"].num_tokens == 15_000
    assert guess.splits["train"].num_tokens == pytest.approx(15_000, rel=0.01)
    assert guess.splits["train"].num_documents == pytest.approx(5000, rel=0.01)


def test_estimates_of_subwords(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", (ENGLISH * 3 + text(300)) * 300)
    options = {"vocabulary": "bpe:400", "splits": {"train": 1.0}}
    manifest, guess = made_and_estimated(tmp_path, source, **options)
    made = manifest.splits["train"].num_tokens
    assert guess.splits["train"].num_tokens == pytest.approx(made, rel=0.05)
    assert guess.vocabulary_size == pytest.approx(manifest.vocabulary_size, rel=0.05)


def test_more_workers_take_less_time_and_more_memory(tmp_path: Path) -> None:
    source = write(tmp_path / "x", text(300_000))
    options = PrepareOptions()
    plan = make_plan(find_sources([source]).sources, options)
    one, eight = (estimate(plan, options, workers=workers) for workers in (1, 8))
    assert eight.memory_bytes > one.memory_bytes
    assert eight.seconds < one.seconds
    assert eight.splits == one.splits
