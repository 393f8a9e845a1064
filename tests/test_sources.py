import os

import pytest
from corpora import write

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES, read_blocks
from pipeline.text.sources import Source, find_cut, find_sources


def names(*paths, **options):
    return [source.name for source in find_sources(paths, **options)]


def test_directories_are_searched_recursively_and_sorted(tmp_path):
    for name in ["b.txt", "a/z.txt", "a/b/c.md", "a.txt", "a-b.txt"]:
        write(tmp_path / name, "x")
    assert names(tmp_path) == ["a/b/c.md", "a/z.txt", "a-b.txt", "a.txt", "b.txt"]
    assert names(tmp_path, glob="*.txt") == ["a/z.txt", "a-b.txt", "a.txt", "b.txt"]


def test_names_are_relative_to_what_the_paths_share(tmp_path):
    first, second = write(tmp_path / "one/x.txt", "x"), write(tmp_path / "two/x.txt", "x")
    assert names(first) == ["x.txt"]
    assert names(second, first) == ["two/x.txt", "one/x.txt"]  # as given
    assert names(first.parent, second.parent) == ["one/x.txt", "two/x.txt"]


def test_files_without_text_are_left_out(tmp_path):
    write(tmp_path / "a", ""), write(tmp_path / "b", "x")
    assert names(tmp_path) == ["b"]


def test_strange_names(tmp_path):
    for name in ["a b.txt", "日本.txt", "-x", "new\nline"]:
        write(tmp_path / name, "x")
    assert sorted(names(tmp_path)) == sorted(["-x", "a b.txt", "new\nline", "日本.txt"])


def test_each_mistake_has_its_error(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="no source given"):
        find_sources([])
    with pytest.raises(UserError, match=r"no such file or directory: .*/absent"):
        find_sources([tmp_path / "absent"])
    with pytest.raises(UserError, match=r"empty: the directory is empty"):
        find_sources([empty])
    file = write(tmp_path / "texts/a.txt", "")
    with pytest.raises(UserError, match="the text is empty: 1 files of 0 bytes"):
        find_sources([file])
    file.write_text("x")
    with pytest.raises(UserError, match=r"no file in it matches `glob` '\*\.md'"):
        find_sources([file.parent], glob="*.md")
    with pytest.raises(UserError, match="the same file twice"):
        find_sources([file.parent, file])
    link = tmp_path / "link.txt"
    link.symlink_to(file)
    with pytest.raises(UserError, match="the same file twice"):
        find_sources([file, link])
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UserError, match="not a regular file"):
        find_sources([fifo])


def test_blocks_are_the_bytes(tmp_path):
    data = os.urandom(BLOCK_BYTES * 2 + 100)
    path = write(tmp_path / "x", data)
    blocks = list(read_blocks(str(path), 7, len(data) - 5))
    assert max(map(len, blocks)) == BLOCK_BYTES
    assert b"".join(blocks) == data[7:-5]
    with pytest.raises(UserError, match=rf"x ends at byte {len(data)}, but had {len(data) + 1}"):
        list(read_blocks(str(path), 0, len(data) + 1))


@pytest.mark.parametrize(
    ("data", "offset", "search_bytes", "expected"),
    [
        (b"one\ntwo\nthree", 1, 10, 4),  # behind the newline
        (b"one\ntwo\nthree", 4, 10, 8),  # the next one, though 4 is a line's start
        (b"one\ntwo\nthree", 4, 3, 4),  # no newline near: a character's start
        ("a日本語".encode(), 2, 0, 4),
        ("a日本語".encode(), 3, 1, 4),
        ("a𝄞𝄞".encode(), 2, 2, 5),
        (b"\x80" * 20, 3, 4, 3),  # no UTF-8: right there
    ],
)
def test_where_a_document_may_be_cut(tmp_path, data, offset, search_bytes, expected):
    source = Source(path=str(write(tmp_path / "x", data)), name="x", num_bytes=len(data))
    assert find_cut(source, offset, search_bytes) == expected
