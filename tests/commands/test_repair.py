"""`textreel repair` at the terminal."""

from pathlib import Path

from corpora import files, make, shard_files, text
from terminal import textreel


def test_it_names_what_it_rebuilt(tmp_path: Path) -> None:
    make(tmp_path, text(20_000), shard_bytes=5000)
    before = files(tmp_path / "corpus")
    shard = shard_files(tmp_path / "corpus")[1]
    shard.unlink()
    arguments = ("repair", "corpus", "text.txt", "--workers", "1")
    result = textreel(*arguments, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"rebuilt {shard.name}\ncorpus is whole\n")
    assert files(tmp_path / "corpus") == before
    result = textreel(*arguments, cwd=tmp_path)
    assert result.stdout == "corpus is whole; there was nothing to rebuild\n"


def test_what_it_cannot_do_it_says(tmp_path: Path) -> None:
    make(tmp_path, text(20_000), shard_bytes=5000)
    shard_files(tmp_path / "corpus")[1].unlink()
    for source, message in (("-", "standard input cannot be read again"), ("none", "no such file")):
        result = textreel("repair", "corpus", source, cwd=tmp_path)
        assert result.returncode == 1
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    result = textreel("repair", "corpus", "text.txt", "--workers", "0", cwd=tmp_path)
    assert result.returncode == 2
