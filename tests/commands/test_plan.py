"""`textreel plan`: a dry run that leaves no trace."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from corpora import text, write
from terminal import textreel

from pipeline import PrepareOptions, prepare
from pipeline.auditing.costs.preparing import requests_of_prepare
from pipeline.auditing.estimate import Estimate, SplitEstimate
from pipeline.commands.plan import estimate_text
from pipeline.layout.loading import load_manifest
from pipeline.sizes import size_text


def test_it_counts_shards_and_steps(tmp_path: Path) -> None:
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
    result = textreel("plan", "TEXT", "--seq_len", "1000000", cwd=tmp_path)
    assert "none fits" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stride", "3"], "--stride says nothing without --seq_len"),
        (["--seq_len", "0"], "--seq_len must be an integer of at least 1, got 0"),
        (["--seq_len", "9", "--hosts", "2"], "--hosts says nothing without --batch_size"),
        (["--workers", "0"], "--workers must be an integer of at least 1, got 0"),
        (["--price"], "expected one argument"),
        (["-"], "`SOURCE` - can be read only once"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    write(tmp_path / "TEXT", "text")
    result = textreel("plan", "TEXT", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr


PRICES = """
scheme = "s3"
currency = "FLORIN"
writes_per_1000 = 1000
reads_per_1000 = 100
month_per_gb = 1e9
out_per_gb = 0
"""


def test_it_counts_what_a_store_costs(tmp_path: Path) -> None:
    write(tmp_path / "TEXT", text(100_000))
    (tmp_path / "prices.toml").write_text(PRICES)
    arguments = ["plan", "TEXT", "--shard_bytes", "20000", "--price", "prices.toml"]
    result = textreel(*arguments, "--seq_len", "30", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    prepare([tmp_path / "TEXT"], tmp_path / "corpus", PrepareOptions(shard_bytes=20_000), workers=1)
    sizes = [shard.disk_bytes for shard in load_manifest(tmp_path / "corpus").shards]
    asked = requests_of_prepare("s3", sizes)
    price = asked.writes + 0.1 * asked.reads
    assert (
        f"prepare: {asked.writes} writes, {asked.reads} reads: {price:.2f} FLORIN" in result.stdout
    )
    assert f"storage: {size_text(sum(sizes))}: {sum(sizes):,.2f} FLORIN a month" in result.stdout
    assert "the first epoch of train, into a cache: 7 to" in result.stdout
    assert "a later one, from the cache: 1 read, 79 B read out: 0.10 FLORIN" in result.stdout
    assert "one without a cache: 7 to" in result.stdout
    assert "epoch of" not in textreel(*arguments, cwd=tmp_path).stdout
    (tmp_path / "prices.toml").write_text("currency = 3")
    result = textreel(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert "prices.toml: `scheme` must be one of 's3', 'gs', 'az', and is missing" in result.stderr


EXACT = Estimate(
    splits={
        "train": SplitEstimate(
            num_shards=1200,
            text_bytes=5,
            num_documents=3400,
            num_tokens=5_600_000,
            num_windows=0,
            shard_tokens=(),
        )
    },
    is_exact=True,
    is_least=False,
    token_error=None,
    read_bytes=4_200_000,
    source_bytes=5_600_000,
    vocabulary_bound="",
    vocabulary_size=200,
    disk_bytes=1_230_000,
    seconds=90,
    memory_bytes=165_000_000,
)


@pytest.mark.parametrize(
    ("changes", "certainty"),
    [
        ({}, "exact"),
        ({"token_error": 0.0}, "exact but for a few: all of the text was read, block by block"),
        ({"token_error": 0.0123}, "about, ± 1.23% (95%); 4.2 MB of 5.6 MB were read"),
        ({"token_error": None}, "about; 4.2 MB of 5.6 MB were read"),
        (
            {"token_error": 0.01, "is_least": True},
            "at least; 4.2 MB of 5.6 MB were read, and what is compressed may hold far more",
        ),
    ],
)
def test_what_is_not_exact_says_so(changes: dict[str, Any], certainty: str) -> None:
    result = dataclasses.replace(EXACT, is_exact=not changes, **changes)
    shown = estimate_text(result)
    assert "vocabulary: 200 ids" in shown
    assert "1,200 shards     3,400 documents       5,600,000 tokens" in shown
    assert f"tokens: {certainty}\n" in shown
    assert "the disk space doubles" not in shown
    assert "disk: 1.23 MB; time: about 2 min of computing; memory: about 165 MB" in shown
    shown = estimate_text(dataclasses.replace(EXACT, vocabulary_bound="at least "))
    assert "vocabulary: at least 200 ids" in shown
    assert "the disk space doubles" in shown
