"""Which files of a directory are read, and what is left out there."""

import os
from pathlib import Path

import pytest
from corpora import TRAIN, make, write
from tfrecords import write_records

from pipeline import UserError, index_records
from pipeline.text.directories import HIDDEN, LINKS, OWN, Choice, list_files


def listed(directory: Path, **choice: object) -> list[str]:
    found = list_files(str(directory), Choice(**choice))  # type: ignore[arg-type]
    return [os.path.relpath(file, directory) for file in found.files]


def test_files_are_sorted_by_the_parts_of_their_paths(tmp_path: Path) -> None:
    names = ["a/b/c", "a/z", "a-b", "a.txt", "b"]
    for name in reversed(names):
        write(tmp_path / name, "x")
    assert listed(tmp_path) == names


def test_hidden_ones_are_left_out_and_told(tmp_path: Path) -> None:
    hidden = [".DS_Store", "._a.txt", "_SUCCESS", "b/.part-0.crc"]
    folders = [".git/", ".ipynb_checkpoints/", "b/__MACOSX/"]
    for name in ["a.txt", "b/c.txt", *hidden, *(f"{folder}x.txt" for folder in folders)]:
        write(tmp_path / name, "x")
    assert listed(tmp_path) == ["a.txt", "b/c.txt"]
    left_out = list_files(str(tmp_path), Choice()).left_out
    assert left_out == {HIDDEN: sorted(f"{tmp_path}/{name}" for name in hidden + folders)}
    assert listed(tmp_path, glob="*.txt") == ["a.txt", "b/c.txt"]
    assert listed(tmp_path, glob="._*") == ["._a.txt"], "named so, it is meant"
    assert listed(tmp_path, hidden=True, glob="*.txt") == [
        "._a.txt", ".git/x.txt", ".ipynb_checkpoints/x.txt", "a.txt", "b/__MACOSX/x.txt", "b/c.txt",
    ]  # fmt: skip
    with pytest.raises(UserError, match="all of it is left out: 1 hidden, their names begin with"):
        list_files(f"{write(tmp_path / 'd/.e', 'x').parent}", Choice())


def test_what_we_made_is_left_out_and_told(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "x")
    make(tmp_path / "b", "some text", splits=TRAIN)
    (tmp_path / "b/text.txt").unlink()
    write_records(tmp_path / ".records", [b"content"])
    index_records([tmp_path / ".records"], tmp_path / "index")
    for name in ("run/run.toml", "run/metrics.jsonl", "export/saved_model.pb"):
        write(tmp_path / name, "{}")
    write(tmp_path / "export/model.keras", "x")
    write(tmp_path / "unfinished/.prepare/plan.json", "x")
    write(tmp_path / "tfds/dataset_info.json", "{}")
    assert listed(tmp_path) == ["a.txt", "tfds/dataset_info.json"]
    left_out = list_files(str(tmp_path), Choice()).left_out
    folders = ["b/corpus/", "export/", "index/", "run/", "unfinished/"]
    assert left_out[OWN] == [f"{tmp_path}/{folder}" for folder in folders]
    with pytest.raises(UserError, match="corpus is a corpus of textreel's, no text: name what to"):
        list_files(f"{tmp_path}/b/corpus", Choice())


def test_each_directory_is_read_once(tmp_path: Path) -> None:
    """Links that cross, a link to its own directory, two links to one outside."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    for file in (inside / "a/x", inside / "b/y", outside / "c/z", outside / "w"):
        write(file, "x")
    (inside / "a/to_b").symlink_to(inside / "b")
    (inside / "b/to_a").symlink_to(inside / "a")
    (inside / "self").symlink_to(inside)
    (inside / "first").symlink_to(outside)
    (inside / "second").symlink_to(outside)
    (inside / "c").symlink_to(outside / "c")
    (outside / "back").symlink_to(inside)
    (outside / "c/up").symlink_to(outside)
    assert listed(inside) == ["a/x", "b/y", "c/z", "first/w"]
    links = ["a/to_b", "b/to_a", "c/up", "first/back", "second", "self"]
    assert list_files(str(inside), Choice()).left_out == {
        LINKS: [f"{inside}/{link}/" for link in links]
    }
    (inside / "top").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"in/top is a symbolic link to .*, which it lies in: a"):
        list_files(str(inside), Choice())


def test_a_hundred_crossed_directories_end_soon(tmp_path: Path) -> None:
    for one in range(100):
        write(tmp_path / str(one) / "x", "x")
        for other in range(100):
            (tmp_path / str(one) / f"to_{other}").symlink_to(tmp_path / str(other))
    assert len(listed(tmp_path)) == 100


def test_the_output_is_no_source(tmp_path: Path) -> None:
    for name in ("a", "out/b"):
        write(tmp_path / name, "x")
    assert listed(tmp_path, leave_out=tmp_path / "out") == ["a"]
    assert listed(tmp_path, leave_out=tmp_path / "none") == ["a", "out/b"]
    with pytest.raises(UserError, match="is the output; name what to read"):
        list_files(str(tmp_path), Choice(leave_out=tmp_path))
