import random

import pytest
from corpora import text, write
from test_cli import textreel

from pipeline import PrepareOptions, prepare
from pipeline.auditing.estimate import estimate
from pipeline.reading.geometry import Windows
from pipeline.text.sources import find_sources


def made_and_estimated(folder, options, windows=None):
    manifest = prepare([folder / "in"], folder / "out", options)
    sources = find_sources([folder / "in"])
    return manifest, estimate(sources, options, workers=2, windows=windows)


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_short_texts_are_exact(tmp_path, vocabulary):
    for index in range(40):
        write(tmp_path / f"in/{index}.txt", text(1000, seed=index))
    options = PrepareOptions(vocabulary=vocabulary, shard_bytes=5000, record_tokens=200)
    windows = Windows(seq_len=20, stride=7)
    manifest, guess = made_and_estimated(tmp_path, options, windows)
    assert guess.token_error == 0
    assert guess.vocabulary_size == manifest.vocabulary_size
    for name, split in manifest.splits.items():
        of_split = guess.splits[name]
        assert of_split.num_text_bytes == split.num_bytes
        assert of_split.num_shards == len(split.shards)
        assert of_split.num_documents == split.num_documents
        assert of_split.num_tokens == pytest.approx(split.num_tokens, rel=0.03)
        exact = sum(windows.num_windows(shard.num_tokens) for shard in split.shards)
        assert of_split.num_windows == pytest.approx(exact, rel=0.03)
    tokens, guessed = (
        sum(split.num_tokens for split in splits.splits.values()) for splits in (manifest, guess)
    )
    assert guessed == pytest.approx(tokens, abs=2 * len(manifest.splits))  # rounding, a shard each
    on_disk = sum(s.num_bytes for split in manifest.splits.values() for s in split.shards)
    assert guess.num_disk_bytes == pytest.approx(on_disk, rel=0.05)


def test_long_texts_are_within_their_error(tmp_path):
    # Stretches of 200 kB, some of three bytes a character: a hard case for a sample.
    source = random.Random(0)
    parts = [source.choice(["abcdefgh ", "日本語日本語"]) * 20_000 for _ in range(60)]
    write(tmp_path / "in/x.txt", "\n".join(parts))
    options = PrepareOptions(vocabulary="char", shard_bytes=2**20)
    manifest, guess = made_and_estimated(tmp_path, options)
    tokens = sum(split.num_tokens for split in manifest.splits.values())
    guessed = sum(split.num_tokens for split in guess.splits.values())
    assert 0 < guess.token_error < 0.5
    assert abs(guessed / tokens - 1) <= guess.token_error
    assert guess.seconds > 0


def test_the_command(tmp_path):
    write(tmp_path / "TEXT", text(100_000))
    result = textreel(
        "plan", "TEXT", "--vocabulary", "char", "--shard_bytes", "20000", "--seq_len", "30",
        "--batch_size", "10", "--hosts", "4", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "6 shards" in result.stdout
    assert "steps an epoch" in result.stdout
    assert "10 rows cannot be shared equally by 4 hosts; a batch of 12 can" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["TEXT"]
    for arguments in (["--stride", "3"], ["--seq_len", "0"], ["--hosts", "2"], ["--workers", "0"]):
        result = textreel("plan", "TEXT", *arguments, cwd=tmp_path)
        assert result.returncode == 2
        assert f"`{arguments[0][2:]}`" in result.stderr
    result = textreel("plan", "TEXT", "--seq_len", "1000000", cwd=tmp_path)
    assert "none fits" in result.stdout
