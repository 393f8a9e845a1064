"""Which sources paths name, in which order, under which names."""

import gzip
import lzma
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import write
from samples import COMPRESS, json_lines, parquet
from storage import Store
from tfrecords import write_records

from pipeline.errors import OptionError, UserError
from pipeline.files import put_file, read_first, write_text
from pipeline.text.directories import EMPTY, HIDDEN, Choice
from pipeline.text.formats import JsonArray, JsonLines, Parquet, PlainText
from pipeline.text.pieces import Reading, Source, Stream
from pipeline.text.sources import find_sources


def names(*paths: Path | str, **choice: Any) -> list[str]:
    return [source.name for source in find_sources(paths, Choice(**choice)).sources]


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


def test_names_of_uris_are_relative_too_but_not_beside_local_files(
    s3: Store, tmp_path: Path
) -> None:
    bucket = s3.new_bucket()
    first, second = f"{bucket}/one/x.txt", f"{bucket}/two/x.txt"
    write_text(first, "x"), write_text(second, "x"), write_text(f"{bucket}/one/.hidden", "x")
    assert names(first) == ["x.txt"]
    assert names(first, second) == ["one/x.txt", "two/x.txt"]
    assert names(f"{bucket}/one") == ["x.txt"]
    assert find_sources([bucket]).left_out == {HIDDEN: [f"{bucket}/one/.hidden"]}
    assert names(first, write(tmp_path / "x.txt", "x")) == [first, "x.txt"]
    with pytest.raises(UserError, match=f"no such file or directory: {bucket}/none"):
        find_sources([f"{bucket}/none"])


def test_uris_of_files_of_this_machine_are_their_paths(tmp_path: Path) -> None:
    first, second = write(tmp_path / "one/x.txt", "x"), write(tmp_path / "two/x.txt", "x")
    assert names(f"file://{first}", second) == ["one/x.txt", "two/x.txt"]
    assert names(f"file://{first.parent}") == ["x.txt"]
    with pytest.raises(UserError, match=r"no such file or directory: /.*/none"):
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
    reading = Reading(document="line", text_field="text")
    found = find_sources([tmp_path], reading=reading).sources
    kinds = [type(source.format) for source in found]
    assert kinds == [JsonLines, Parquet, PlainText]
    assert found[2].format == PlainText(document="line")
    for source in found:
        assert source.path == str(tmp_path / source.name)
        assert source.source_bytes == os.path.getsize(source.path)
    assert [source.length for source in found] == [found[0].source_bytes, 3, 4]


def test_a_stream_is_the_file_that_holds_it(tmp_path: Path) -> None:
    stream = Stream(str(write(tmp_path / "spool", "some text")), "-", "standard input")
    plain = PlainText(document="line")
    (source,) = find_sources([stream], reading=Reading(document="line")).sources
    assert source == Source(
        path=stream.path, name="-", source_bytes=9, format=plain, stream="standard input"
    )
    (source,) = find_sources([stream], reading=Reading(text_field="t")).sources
    assert source.format == JsonLines(text_field="t")
    write(tmp_path / "spool", '[{"t": "a"}]')
    (source,) = find_sources([stream], reading=Reading(text_field="t")).sources
    assert source.format == JsonArray(text_field="t")
    write(tmp_path / "spool", gzip.compress(b"some text"))
    (source,) = find_sources([stream]).sources
    assert source.format == PlainText(compression=".gz")
    write(tmp_path / "spool", b"PK\x03\x04")
    with pytest.raises(UserError, match=r"^standard input is a ZIP archive"):
        find_sources([stream])
    write(tmp_path / "spool", "")
    with pytest.raises(UserError, match=r"^standard input is empty"):
        find_sources([stream])


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
    with pytest.raises(UserError, match=r"the text is empty: 1 without a byte, such as .*/a.txt"):
        find_sources([file])
    file.write_text("x")
    with pytest.raises(UserError, match=r"no file in it matches `glob` '\*\.md'"):
        names(file.parent, glob="*.md")
    with pytest.raises(OptionError, match=r"`glob` '\*\.txt' has no effect: no directory"):
        names(file, glob="*.txt")
    with pytest.raises(OptionError, match="`hidden` has no effect: no directory"):
        names(file, hidden=True)
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
        find_sources([write(tmp_path / "x.tar.gz", gzip.compress(b"x"))])


def test_links(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "a.txt", "text")
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
    assert len(both.sources) == 2
    with pytest.raises(OptionError, match="`allow_binary` has no effect: no source is of a known"):
        find_sources([plain], reading=Reading(allow_binary=True))


@pytest.mark.parametrize("field", [None, "text"])
@pytest.mark.parametrize("name", ["x", "x.txt", "x.json", "x.jsonl", "x.log.gz", "x.json.bz2"])
def test_json_lines_are_told_by_their_content(tmp_path: Path, name: str, field: str | None) -> None:
    """Without a field a `.json` is refused as a `.jsonl` is; other names are text."""
    content = b'{"text": "row one"}\n{"text": "row two"}\n'
    compress = COMPRESS.get(Path(name).suffix, bytes)
    path = write(tmp_path / name, compress(content))
    if field is None and ".json" in name:
        with pytest.raises(UserError, match=f"{name} holds rows: name the field"):
            find_sources([path])
        return
    (source,) = find_sources([path], reading=Reading(text_field=field)).sources
    assert type(source.format) is (PlainText if field is None else JsonLines)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ('[{"text": "a"}]', JsonArray, ""),
        ('{"text": "a"}', JsonLines, ""),
        ('{\n  "text": "a"\n}\n', None, "x.json is one JSON object over many lines, and holds no"),
        ('{"text": "a"}\n{"text":', JsonLines, ""),
    ],
)
def test_a_json_file_is_rows_where_they_are_asked_for(
    tmp_path: Path, content: str, kind: type | None, message: str
) -> None:
    path = write(tmp_path / "x.json", content)
    (source,) = find_sources([path]).sources
    assert source.format == PlainText(), "a .json of another project's settings is text"
    if kind is None:
        with pytest.raises(UserError, match=message):
            find_sources([path], reading=Reading(text_field="text"))
    else:
        (source,) = find_sources([path], reading=Reading(text_field="text")).sources
        assert type(source.format) is kind


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("suffix", ["", ".txt", ".gzip", ".bz", ".zstd", ".lzma", ".gz", ".xz"])
def test_compression_is_told_by_the_first_bytes(
    tmp_path: Path, compression: str, suffix: str
) -> None:
    path = write(tmp_path / f"x{suffix}", COMPRESS[compression](b"text"))
    (source,) = find_sources([path]).sources
    assert source.format == PlainText(compression=compression)
    rows = write(tmp_path / f"x.jsonl{suffix}", COMPRESS[compression](b'{"text": "a"}'))
    (source,) = find_sources([rows], reading=Reading(text_field="text")).sources
    assert source.format == JsonLines(text_field="text", compression=compression)


@pytest.mark.parametrize("compression", COMPRESS)
def test_rows_are_told_where_the_first_bytes_hold_no_text_yet(
    tmp_path: Path, compression: str
) -> None:
    rows = "".join(f'{{"text": "{os.urandom(500).hex()}"}}\n' for _ in range(200))
    path = write(tmp_path / f"x.log{compression}", COMPRESS[compression](rows.encode()))
    (source,) = find_sources([path], reading=Reading(text_field="text")).sources
    assert source.format == JsonLines(text_field="text", compression=compression)


@pytest.mark.parametrize("preset", [0, 6, 9])
def test_lzma_of_old_is_told_by_its_usual_parameters_or_its_name(
    tmp_path: Path, preset: int
) -> None:
    data = lzma.compress(b"text", lzma.FORMAT_ALONE, preset=preset)
    filters = [{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2}]
    other = lzma.compress(b"text", lzma.FORMAT_ALONE, filters=filters)
    for name, content in [("x", data), ("x.lzma", data), ("y.lzma", other)]:
        (source,) = find_sources([write(tmp_path / name, content)]).sources
        assert source.format == PlainText(compression=".lzma")


@pytest.mark.parametrize("text", ["BZhang said hello", "BZh9", "PAR1", "BM", "MZ", "GIF89a is old"])
def test_a_text_that_begins_as_a_format_does_is_text(tmp_path: Path, text: str) -> None:
    (source,) = find_sources([write(tmp_path / "x", text)]).sources
    assert source.format == PlainText()


def test_a_name_that_lies_of_its_compression_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bz2", "BZhang said hello")
    with pytest.raises(UserError, match=r"x.bz2 is no .bz2 file, whatever its name says: give it"):
        find_sources([path])


def test_known_binary_formats_are_refused_unless_they_are_meant(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.docx", "w") as file:
        file.writestr("word/document.xml", "text")
    np.savez(tmp_path / "x.npz", text=np.arange(3))
    np.save(tmp_path / "x.npy", np.arange(3))
    with tarfile.open(tmp_path / "x", "w:gz") as file_of_files:
        file_of_files.add(tmp_path / "x.npy")
    write_records(tmp_path / "x.txt", [b"content"])
    write(tmp_path / "x.pdf", "%PDF-1.7\n")
    meant = {
        "x.docx": "a ZIP archive",
        "x.npz": "a ZIP archive",
        "x.npy": "a NumPy array",
        "x": "a tar archive",
        "x.txt": "a TFRecord file",
        "x.pdf": "a PDF document",
    }
    for name, message in meant.items():
        with pytest.raises(UserError, match=rf"/{name} is {message}.*, by its first bytes, and no"):
            find_sources([tmp_path / name])
    found = find_sources([tmp_path], reading=Reading(allow_binary=True)).sources
    assert [source.name for source in found] == sorted(meant)
    assert all(isinstance(source.format, PlainText) and source.format.binary for source in found)


def test_behind_a_uri_known_names_are_believed(
    s3: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look costs a request."""
    bucket = s3.new_bucket()
    looked = []
    monkeypatch.setattr(
        "pipeline.text.sources.read_first",
        lambda path, num_bytes: looked.append(path) or read_first(path, num_bytes),
    )
    for name in ("a.txt", "b.jsonl", "c.txt.gz", "d", "e.json"):
        data = b'{"text": "a"}\n'
        file = write(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
        put_file(file, f"{bucket}/{name}")
    (*_, json, _) = find_sources(
        [f"{bucket}/{name}" for name in ("a.txt", "c.txt.gz", "b.jsonl", "e.json", "d")],
        reading=Reading(text_field="text"),
    ).sources
    assert isinstance(json.format, JsonLines)
    assert [os.path.basename(path) for path in looked] == ["e.json", "d"]


def test_what_is_left_out_is_told(tmp_path: Path) -> None:
    for name in ("a.txt", ".git/x", "_b.txt", "in/.c", "empty"):
        write(tmp_path / name, "" if name == "empty" else "text")
    found = find_sources([tmp_path])
    assert [source.name for source in found.sources] == ["a.txt"]
    assert found.left_out == {
        HIDDEN: [f"{tmp_path}/.git/", f"{tmp_path}/_b.txt", f"{tmp_path}/in/.c"],
        EMPTY: [f"{tmp_path}/empty"],
    }
    assert names(tmp_path / ".git/x", tmp_path / "_b.txt") == [".git/x", "_b.txt"]
    assert names(tmp_path / ".git") == ["x"]
    assert names(tmp_path, hidden=True) == [".git/x", "_b.txt", "a.txt", "in/.c"]
