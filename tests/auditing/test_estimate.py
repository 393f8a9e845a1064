"""Estimates against the corpora that are made."""

import bz2
import gzip
import itertools
import random
from pathlib import Path
from typing import Any

import pytest
from corpora import prepared, text, write
from samples import json_lines
from sentence_models import sentence_model

from pipeline import PrepareOptions, UserError
from pipeline.auditing import samples
from pipeline.auditing.estimate import Estimate, estimate
from pipeline.layout.manifest import Manifest
from pipeline.preparing.plan import make_plan
from pipeline.reading.geometry import Windows
from pipeline.text.sources import find_sources
from pipeline.vocabulary.bpe import train_bpe

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
    source = write(tmp_path / "x", text(4_000_000))
    options = PrepareOptions(vocabulary="char", shard_bytes=200_000)
    plan = make_plan(find_sources([source]).sources, options)
    one, eight = (estimate(plan, options, workers=workers) for workers in (1, 8))
    assert eight.memory_bytes > one.memory_bytes
    assert eight.seconds < one.seconds
    assert eight.splits == one.splits


FACTORS = {"tokens": 1.1, "text": 1.1, "documents": 1.2, "vocabulary": 1.2, "disk": 1.2}


def amounts(made: Manifest | Estimate) -> dict[str, float]:
    """What is counted, over all splits."""
    splits = made.splits.values()
    return {
        "tokens": sum(split.num_tokens for split in splits),
        "text": sum(split.text_bytes for split in splits),
        "documents": sum(split.num_documents for split in splits),
        "vocabulary": made.vocabulary_size,
        "disk": made.disk_bytes
        if isinstance(made, Estimate)
        else sum(split.disk_bytes for split in made.splits.values()),
    }


def some_text(num_bytes: int) -> str:
    """Text that changes from place to place, unlike that of a sample."""
    parts, source = [], random.Random(5)
    while sum(map(len, parts)) < num_bytes:
        words = ["".join(source.choices("etaoinshrdlu日本é", k=4)) for _ in range(300)]
        parts.append(" ".join(source.choices(words, k=2000)) + "\n" * source.randrange(1, 3))
    return "".join(parts)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Text of 2 MB in several formats, a vocabulary of each kind that can be given."""
    folder, content = tmp_path_factory.mktemp("sources"), some_text(2_000_000)
    write(folder / "plain.txt", content)
    write(folder / "gz.txt.gz", gzip.compress(content.encode(), 1))
    write(folder / "bz2.txt.bz2", bz2.compress(content.encode(), 1))
    third = len(content) // 3
    for index in range(30):
        write(folder / f"many/{index}.txt", content[third + index * 9000 :][: 500 * (index + 1)])
    write(folder / "mixed/a.txt", content[:third])
    write(folder / "mixed/b.txt.gz", gzip.compress(content[third:].encode()))
    rows = [row for row in content.split("\n") if row]
    json_lines(folder / "rows.jsonl", rows)
    write(folder / "rows.jsonl.gz", gzip.compress((folder / "rows.jsonl").read_bytes()))
    train_bpe([content[:500_000].encode()], 500).save(folder)
    write(folder / "t5.model", sentence_model("t5"))
    return folder


@pytest.mark.parametrize(
    "name",
    ["plain.txt", "gz.txt.gz", "bz2.txt.bz2", "many", "mixed", "rows.jsonl", "rows.jsonl.gz"],
)
@pytest.mark.parametrize("vocabulary", ["byte", "char", "bpe:500", "tokenizer.json", "t5.model"])
def test_an_estimate_is_within_a_factor_of_what_is_made(
    tmp_path: Path, sources: Path, name: str, vocabulary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "_SECONDS", 20.0)  # this machine may have other work
    chosen: dict[str, Any] = {"splits": {"train": 1.0}, "vocabulary": vocabulary}
    if "." in vocabulary:
        chosen["vocabulary"] = str(sources / vocabulary)
    if vocabulary == "t5.model":
        chosen |= {"normalize": True, "unknown": "replace"}
    if name.startswith("rows"):
        chosen["text_field"] = "text"
    manifest, guess = made_and_estimated(tmp_path, sources / name, **chosen)
    made, guessed = amounts(manifest), amounts(guess)
    for what, factor in FACTORS.items():
        if what != "vocabulary" or vocabulary != "char" or not guess.vocabulary_bound:
            assert made[what] / factor <= guessed[what] <= made[what] * factor, what
    assert guess.vocabulary_bound or guess.vocabulary_size == manifest.vocabulary_size
    if guess.is_exact:
        for split in guess.splits:
            assert guess.splits[split].num_tokens == manifest.splits[split].num_tokens
    assert guess.is_exact == (vocabulary == "byte" and name in ("plain.txt", "many"))
    assert type(guess.seconds) is type(guess.memory_bytes * 1.0) is float


def test_a_small_file_may_hold_much(tmp_path: Path) -> None:
    content = b"so much of the same\n" * 2_000_000
    source = write(tmp_path / "a.gz", gzip.compress(content))
    assert source.stat().st_size < len(content) / 100
    options = PrepareOptions(splits={"train": 1.0})
    guess = estimate(make_plan(find_sources([source]).sources, options), options, workers=1)
    assert guess.splits["train"].num_tokens == pytest.approx(len(content), rel=0.2)


def test_what_is_not_known_of_a_compressed_file_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the time is over before the first block of the file is."""
    source = write(tmp_path / "a.gz", gzip.compress(b"so much of the same\n" * 100_000))
    monkeypatch.setattr(samples, "_SECONDS", 0.0)
    options = PrepareOptions(splits={"train": 1.0})
    guess = estimate(make_plan(find_sources([source]).sources, options), options, workers=1)
    assert guess.is_least
    assert 0 < guess.splits["train"].num_tokens < 2_000_000


@pytest.mark.parametrize("place", [0, 70_000, 500_000, 1_999_999])
@pytest.mark.parametrize("vocabulary", ["char", "bpe:300"])
@pytest.mark.parametrize(("suffix", "document"), [("", "file"), (".gz", "file"), ("", "line")])
def test_what_prepare_refuses_is_refused(
    tmp_path: Path,
    place: int,
    vocabulary: str,
    suffix: str,
    document: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the same words, if it was read; all of this is."""
    monkeypatch.setattr(samples, "_SECONDS", 60.0)
    content = bytearray("naïve\n".encode() * 300_000)[:2_000_000]
    content[place : place + 1] = b"\xe9"
    source = write(tmp_path / f"a{suffix}", gzip.compress(content) if suffix else bytes(content))
    chosen = {"vocabulary": vocabulary, "splits": {"train": 1.0}, "document": document}
    with pytest.raises(UserError, match="is not UTF-8 at byte") as refused:
        prepared(tmp_path, source, **chosen)
    options = PrepareOptions(**chosen)
    plan = make_plan(find_sources([source], reading=options.reading).sources, options)
    with pytest.raises(UserError) as error:
        estimate(plan, options, workers=1)
    assert str(error.value) == str(refused.value)


@pytest.mark.parametrize(
    ("content", "chosen"),
    [
        (gzip.compress(b""), {}),
        (gzip.compress(b""), {"vocabulary": "char"}),
        (gzip.compress(b""), {"vocabulary": "bpe:300"}),
        (b"\n" * 1000, {"document": "blank_line"}),
        (b"\n" * 1000, {"document": "blank_line", "vocabulary": "bpe:300"}),
        (b'{"text": ""}\n' * 100, {"text_field": "text"}),
        (b'{"text": ""}\n' * 100, {"text_field": "text", "vocabulary": "char"}),
    ],
)
def test_no_text_is_said(tmp_path: Path, content: bytes, chosen: dict[str, Any]) -> None:
    suffix = "gz" if content[:1] == b"\x1f" else "jsonl" if "text_field" in chosen else "txt"
    source = write(tmp_path / f"a.{suffix}", content)
    options = PrepareOptions(**chosen, splits={"train": 1.0})
    plan = make_plan(find_sources([source], reading=options.reading).sources, options)
    with pytest.raises(UserError, match=rf"the text is empty: .*a\.{suffix}"):
        estimate(plan, options, workers=1)


def test_many_small_files_are_not_read_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones are met more often, and each counts as what lies between two of them."""
    monkeypatch.setattr(samples, "_SECONDS", 60.0)
    source = random.Random(1)
    for index in range(3000):
        content = "word " * source.randrange(1, 40) + "日本" * (index // 300)
        write(tmp_path / f"in/{index:04}", content)
    manifest, guess = made_and_estimated(
        tmp_path, tmp_path / "in", vocabulary="char", splits={"train": 1.0}
    )
    assert 0 < guess.read_bytes < 0.8 * guess.source_bytes
    made = manifest.splits["train"].num_tokens
    assert guess.splits["train"].num_tokens == pytest.approx(made, rel=0.02)


@pytest.mark.parametrize("num_parts", [8, 10, 15, 20, 40])
def test_a_part_of_a_compressed_file_says_how_much_the_rest_holds(
    tmp_path: Path, num_parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decompressed belongs to the bytes that were read before, not to those just read."""
    words = "".join(random.Random(3).choices("etaoinshrdlu ", k=4_000_000))
    source = write(tmp_path / "a.gz", gzip.compress(words.encode()))
    options = PrepareOptions(splits={"train": 1.0})
    plan = make_plan(find_sources([source]).sources, options)
    ticks = itertools.count()
    monkeypatch.setattr(samples, "_SECONDS", float(num_parts))
    with monkeypatch.context() as patch:
        patch.setattr(samples.time, "monotonic", lambda: float(next(ticks)))
        (sample,) = samples.take_samples(list(*plan), plan.source_bytes, is_utf8=False)
    assert sample.read_source < 0.9 * plan.source_bytes
    found = sample.read_text / sample.read_source * plan.source_bytes
    if sample.is_least:
        assert found <= 1.02 * len(words)
    else:
        assert found == pytest.approx(len(words), rel=0.1)
