"""`textreel verify`: what is wrong, and what to do."""

from pathlib import Path

from corpora import make, shard_files, text, write
from terminal import textreel

from pipeline.auditing.verify import Findings
from pipeline.commands.verify import findings_text


def test_a_missing_shard_is_named_with_the_remedy(tmp_path: Path) -> None:
    directory = make(tmp_path, text(20_000), shard_bytes=5000).directory
    result = textreel("verify", directory)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "all is well")
    shard = shard_files(directory)[1]
    shard.unlink()
    result = textreel("verify", directory)
    assert result.returncode == 1
    assert f"{shard.name}: is missing" in result.stdout
    assert (
        f"damaged, 1 shard of it; mend what can be mended: textreel repair {directory} SOURCE"
        in result.stderr
    )
    result = textreel("verify", write(tmp_path / "TEXT", "text"))
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_what_no_shard_is_to_blame_for_needs_another_prepare(tmp_path: Path) -> None:
    directory = make(tmp_path, text(2000)).directory
    (Path(directory) / "features.json").unlink()
    result = textreel("verify", directory)
    assert result.returncode == 1
    assert result.stdout.endswith("features.json: is missing\n1 problem\n")
    assert f"{directory} is damaged; mend what can be mended" in result.stderr
    assert f"textreel repair {directory} SOURCE…" in result.stderr


def findings(num_problems: int) -> Findings:
    return Findings(
        problems=tuple(f"x{number}: is wrong" for number in range(num_problems)),
        bad_shards=(),
        num_shards=1234,
        num_documents=5678,
        duplicates={("train", "test"): 1200},
    )


def test_copies_are_a_note_and_no_problem() -> None:
    lines = findings_text(findings(0)).splitlines()
    assert lines[0] == "1,234 shards, 5,678 documents compared between splits"
    assert lines[1].startswith("note: test has 1,200 documents that train has too, word for word")
    assert lines[2:] == ["all is well"]


def test_many_problems_are_counted() -> None:
    assert "… and" not in findings_text(findings(10))
    lines = findings_text(findings(13)).splitlines()
    assert lines[2:12] == [f"x{number}: is wrong" for number in range(10)]
    assert lines[12:] == ["… and 3 more", "13 problems"]
