"""Which sources paths name, in which order, under which names."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from corpora import write
from samples import json_lines, parquet

from pipeline.errors import OptionError, UserError
from pipeline.text.formats import JsonLines, Parquet, PlainText
from pipeline.text.pieces import Reading, Source
from pipeline.text.sources import find_sources


def names(*paths: Path | str, **options: Any) -> list[str]:
    return [source.name for source in find_sources(paths, **options)]


def test_directories_are_searched_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ["b.txt", "a/z.txt", "a/b/c.md", "a.txt", "a-b.txt"]:
        write(tmp_path / name, "x")
    assert names(tmp_path) == ["a/b/c.md", "a/z.txt", "a-b.txt", "a.txt", "b.txt"]
    assert names(tmp_path, glob="*.txt") == ["a/z.txt", "a-b.txt", "a.txt", "b.txt"]


def test_names_are_relative_to_what_the_paths_share(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one/x.txt", "x"), write(tmp_path / "two/x.txt", "x")
    assert names(first) == ["x.txt"]
    assert names(second, first) == ["two/x.txt", "one/x.txt"]  # as given
    assert names(first.parent, second.parent) == ["one/x.txt", "two/x.txt"]


def test_names_of_uris_are_relative_too_but_not_beside_local_files(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one/x.txt", "x"), write(tmp_path / "two/x.txt", "x")
    assert names(f"file://{first}") == ["x.txt"]
    assert names(f"file://{first}", f"file://{second}") == ["one/x.txt", "two/x.txt"]
    assert names(f"file://{first.parent}") == ["x.txt"]
    assert names(f"file://{first}", second) == [f"file://{first}", "x.txt"]
    with pytest.raises(UserError, match="no such file or directory: file://"):
        find_sources([f"file://{tmp_path}/none"])


def test_files_without_text_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "a", ""), write(tmp_path / "b", "x")
    assert names(tmp_path) == ["b"]


def test_strange_names(tmp_path: Path) -> None:
    for name in ["a b.txt", "日本.txt", "-x", "new\nline"]:
        write(tmp_path / name, "x")
    assert sorted(names(tmp_path)) == sorted(["-x", "a b.txt", "new\nline", "日本.txt"])


def test_each_file_is_of_its_format_and_has_its_size(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", ["x"])
    parquet(tmp_path / "b.parquet", ["x", "y", "z"])
    write(tmp_path / "c.TXT", "text")
    found = find_sources([tmp_path], reading=Reading(document="line", text_field="text"))
    kinds = [type(source.format) for source in found]
    assert kinds == [JsonLines, Parquet, PlainText]
    assert found[2].format == PlainText(document="line")
    for source in found:
        assert source.path == str(tmp_path / source.name)
        assert source.source_bytes == os.path.getsize(source.path)
    assert [source.length for source in found] == [found[0].source_bytes, 3, 4]


def test_standard_input_is_the_file_that_holds_it(tmp_path: Path) -> None:
    spool = str(write(tmp_path / "spool", "some text"))
    plain = PlainText(document="line")
    lines = find_sources(["-"], reading=Reading(document="line"), standard_input=spool)
    assert lines == (Source(path=spool, name="-", source_bytes=9, format=plain),)
    rows = find_sources(["-"], reading=Reading(text_field="t"), standard_input=spool)
    assert rows[0].format == JsonLines(text_field="t")
    with pytest.raises(UserError, match="the same file twice: - and -"):
        find_sources(["-", "-"], standard_input=spool)
    write(tmp_path / "spool", "")
    with pytest.raises(UserError, match="standard input is empty"):
        find_sources(["-"], standard_input=spool)


def test_each_mistake_has_its_error(tmp_path: Path) -> None:
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
    with pytest.raises(OptionError, match=r"`glob` '\*\.txt' has no effect: no directory"):
        find_sources([file], glob="*.txt")
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
    with pytest.raises(UserError, match=r"x.zip is an archive: unpack it"):
        find_sources([write(tmp_path / "x.zip", "PK")])
    with pytest.raises(UserError, match=r"x.tar.gz is an archive: unpack it"):
        find_sources([write(tmp_path / "x.tar.gz", "PK")])


def test_links(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "text")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    with pytest.raises(UserError, match="which it lies in: a loop"):
        find_sources([folder])
    (folder / "loop").unlink()
    (folder / "gone").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="is a symbolic link to a file that is not there"):
        find_sources([folder])
    (folder / "gone").unlink()
    os.link(folder / "a.txt", folder / "b.txt")
    with pytest.raises(UserError, match="the same file twice"):
        find_sources([folder])
    shutil.rmtree(folder)
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UserError, match="pipe is not a regular file"):
        find_sources([folder])


def test_options_without_effect_are_refused(tmp_path: Path) -> None:
    plain = write(tmp_path / "x.txt", "text")
    rows = json_lines(tmp_path / "x.jsonl", ["text"])
    with pytest.raises(OptionError, match="`text_field` 'text' has no effect: all sources are"):
        find_sources([plain], reading=Reading(text_field="text"))
    with pytest.raises(OptionError, match="`document` 'line' has no effect: no source is plain"):
        find_sources([rows], reading=Reading(document="line", text_field="text"))
    both = find_sources([plain, rows], reading=Reading(document="line", text_field="text"))
    assert len(both) == 2
