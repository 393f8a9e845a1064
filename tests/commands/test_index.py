"""`textreel index`: what it says, and how it ends."""

from pathlib import Path

from terminal import textreel
from tfrecords import contents_of, write_records

from pipeline import open_index
from pipeline.commands.index import indexed_text


def test_a_pattern_becomes_an_index(tmp_path: Path) -> None:
    for number in range(3):
        write_records(tmp_path / f"train-{number}.tfrecord", contents_of(1000, seed=number))
    command = ("index", "train-*.tfrecord", "--output", "INDEX")
    for flags in ([], ["--check", "--overwrite", "--workers", "1"]):
        result = textreel(*command, *flags, cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("made the index INDEX: 3 files, 3,000 records, 19")
        assert open_index(tmp_path / "INDEX").checked == bool(flags)
    text = indexed_text(open_index(tmp_path / "INDEX"), seconds=0.1)
    num_bytes = open_index(tmp_path / "INDEX").num_bytes / 1000
    assert text.endswith(f", {num_bytes:.0f} kB in 0.1 s ({num_bytes / 100:.2f} MB/s)")


def test_failures_and_mistakes(tmp_path: Path) -> None:
    path = write_records(tmp_path / "x", [b"content"])
    path.write_bytes(path.read_bytes()[:-1])
    for arguments, code, message in (
        (("x", "--output", "INDEX"), 1, "textreel: error: /"),
        (("x", "--output", "INDEX"), 1, "x: record 0 at byte 0: it takes 23 bytes, and the file"),
        (("x",), 2, "--output"),
        (("--output", "INDEX"), 2, "FILES"),
        (("x", "--output", "INDEX", "--workers", "0"), 2, "--workers must be an integer of at"),
        (("y-*", "--output", "INDEX"), 1, "no file matches 'y-*'; nothing to index"),
    ):
        result = textreel("index", *arguments, cwd=tmp_path)
        assert result.returncode == code
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    assert not (tmp_path / "INDEX").exists()
