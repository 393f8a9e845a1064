"""`textreel plan`: a dry run that leaves no trace."""

from pathlib import Path

import pytest
from corpora import text, write
from terminal import textreel

from pipeline.auditing.estimate import Estimate, SplitEstimate
from pipeline.commands.plan import estimate_text


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
        (["--stride", "3"], "`stride` says nothing without `--seq_len`"),
        (["--seq_len", "0"], "`seq_len` must be an integer of at least 1, got 0"),
        (["--seq_len", "9", "--hosts", "2"], "`hosts` says nothing without `--batch_size`"),
        (["--workers", "0"], "`workers` must be an integer of at least 1, got 0"),
        (["-"], "`SOURCE` - can be read only once"),
    ],
)
def test_what_says_nothing_is_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    write(tmp_path / "TEXT", "text")
    result = textreel("plan", "TEXT", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr


@pytest.mark.parametrize("exact", [True, False])
def test_what_is_not_exact_says_so(exact: bool) -> None:
    split = SplitEstimate(
        num_shards=1200, text_bytes=5, num_documents=3400, num_tokens=5_600_000, num_windows=0
    )
    result = Estimate(
        splits={"train": split},
        token_error=0.0 if exact else 0.0123,
        vocabulary_size=200,
        disk_bytes=1_230_000,
        seconds=90,
        memory_bytes=165_000_000,
    )
    shown = estimate_text(result, exact=exact)
    assert f"vocabulary: {'' if exact else 'at least '}200 ids" in shown
    assert "1,200 shards     3,400 documents       5,600,000 tokens" in shown
    assert ("tokens: exact" in shown) == exact
    assert ("± 1.23% (95%)" in shown) == (not exact)
    assert ("the disk space doubles" in shown) == (not exact)
    assert "disk: 1.23 MB; time: about 2 min of computing; memory: about 165 MB" in shown
