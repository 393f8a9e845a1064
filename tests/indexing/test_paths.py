"""Paths: what a user names, in which order, and what is refused."""

import os
from pathlib import Path

import pytest
from corpora import write

from pipeline import UserError
from pipeline.indexing.paths import find_files


def names(*patterns: str | Path) -> list[str]:
    return [os.path.basename(file.path) for file in find_files(patterns)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b-1", "b-0", "a", "c[1]", "c1", "deep/er/b-2"):
        write(tmp_path / name, name)
    return tmp_path


def test_the_order_is_as_given_and_sorted_in_a_pattern(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names(folder / "b-*", folder / "a") == ["b-0", "b-1", "a"]
    assert names(folder / "a", folder / "b-?") == ["a", "b-0", "b-1"]
    assert names(folder / "**" / "b-*") == ["b-0", "b-1", "b-2"]
    assert names(folder / "b-[1-9]") == ["b-1"]
    monkeypatch.chdir(folder)
    assert names("b-*", "deep/er/*") == ["b-0", "b-1", "b-2"]


def test_a_file_of_just_that_name_is_no_pattern(folder: Path) -> None:
    assert names(folder / "c[1]") == ["c[1]"]
    (folder / "c[1]").unlink()
    assert names(folder / "c[1]") == ["c1"]


def test_files_are_as_they_are(folder: Path) -> None:
    for path in (str(folder / "a"), f"file://{folder / 'a'}"):
        (file,) = find_files([path])
        assert (file.path, file.num_bytes) == (str(folder / "a"), 1)
        assert file.modified // 10**9 == os.stat(folder / "a").st_mtime_ns // 10**9
    found = find_files([f"file://{folder}/b-*"])
    assert [file.path for file in found] == [str(folder / f"b-{index}") for index in (0, 1)]


def test_a_place_has_one_path(folder: Path) -> None:
    """Links among the folders are resolved; the name of a file that is a link stays."""
    (folder / "link").symlink_to(folder / "deep")
    (folder / "name").symlink_to(folder / "a")
    (found,) = find_files([folder / "link" / "er" / ".." / "er" / "b-2"])
    assert found.path == str(folder / "deep/er/b-2")
    (found,) = find_files([folder / "name"])
    assert found.path == str(folder / "name")


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "no file given; name at least one"),
        (["x*"], r"no file matches '/.*/x\*'; nothing to index"),
        (["file://x*"], r"no file matches '/.*/x\*'; nothing to index"),
        (["gs:/bucket/x"], "`patterns` must be a path or a URI, got gs:/bucket/x; write"),
        (["x"], "no such file or directory: /.*/x$"),
        (["deep"], r"/deep is a directory; name the files in it, such as '/.*/deep/\*.tfrecord\*'"),
        (["*"], "/deep is a directory; name the files in it"),
        (["a", "b-0", "a"], "the same file twice: /.*/a and /.*/a; its records would be read"),
        (["b-*", "b-1"], "the same file twice: /.*/b-1 and /.*/b-1"),
        (["a", "hard link"], "the same file twice: /.*/a and /.*/hard link"),
        (["a", "link"], "the same file twice: /.*/a and /.*/link"),
        (["nowhere"], "nowhere is a symbolic link to a file that is not there"),
        (["pipe"], "pipe is not a regular file"),
    ],
)
def test_what_is_refused(folder: Path, patterns: list[str], message: str) -> None:
    os.link(folder / "a", folder / "hard link")
    (folder / "link").symlink_to("a")
    (folder / "nowhere").symlink_to("none")
    if patterns == ["pipe"]:
        os.mkfifo(folder / "pipe")
    given = [
        f"file://{folder}/{pattern.removeprefix('file://')}"
        if pattern.startswith("file://")
        else pattern
        if pattern.startswith("gs:")
        else folder / pattern
        for pattern in patterns
    ]
    if patterns == ["*"]:
        (folder / "nowhere").unlink()
    with pytest.raises(UserError, match=message):
        find_files(given)
