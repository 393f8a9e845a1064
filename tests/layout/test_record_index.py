"""The index of records as files: what it says, where it may lie, and what is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import flip, write
from tfrecords import contents_of, framed, slow_offsets, write_records

from pipeline import RecordIndex, UserError, index_records, open_index
from pipeline.layout.record_index import load_index, offsets_header
from pipeline.layout.sealed import sealed

CONTENTS = [contents_of(9, seed=1), [], contents_of(4, seed=2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files, one of them without records, and beside them their index."""
    for number, contents in enumerate(CONTENTS):
        write_records(tmp_path / "data" / f"x-{number}", contents)
    index_records([tmp_path / "data" / "x-*"], tmp_path / "data" / "index", workers=1)
    return tmp_path / "data"


def check_places(index: RecordIndex, folder: Path) -> None:
    """Every record is where the index says."""
    assert len(index) == len(index.offsets) == 13
    assert index.first_records.tolist() == [0, 9, 9, 13]
    assert index.num_bytes == sum((folder / f"x-{number}").stat().st_size for number in range(3))
    record = 0
    for number, contents in enumerate(CONTENTS):
        offsets = slow_offsets(contents)
        assert index.offsets_of(number).tolist() == offsets
        for inside, content in enumerate(contents):
            place = index.place(record)
            assert place == (index.files[number], inside, offsets[inside])
            data = Path(place.file.path).read_bytes()[place.offset :]
            assert data.startswith(framed(content))
            record += 1
    for none in (-1, 13):
        with pytest.raises(IndexError):
            index.place(none)


def test_what_stands_on_the_disk(folder: Path) -> None:
    """Readable without textreel."""
    assert {path.name for path in (folder / "index").iterdir()} == {"index.json", "offsets.npy"}
    offsets = np.load(folder / "index" / "offsets.npy")
    assert offsets.dtype == np.dtype("<u8")
    expected = [offset for contents in CONTENTS for offset in slow_offsets(contents)]
    assert offsets.tolist() == expected
    content = json.loads((folder / "index" / "index.json").read_text())
    assert (content["format"], content["checked"]) == (2, False)
    for number, (path, num_bytes, modified, num_records, _) in enumerate(content["files"]):
        status = (folder / f"x-{number}").stat()
        assert (path, num_records) == (f"x-{number}", len(CONTENTS[number]))
        assert (num_bytes, modified) == (status.st_size, status.st_mtime_ns)


def test_the_offsets_stay_on_the_disk(folder: Path) -> None:
    assert isinstance(open_index(folder / "index").offsets, np.memmap)


def test_the_header_is_numpys(tmp_path: Path) -> None:
    for count in (1, 10**9, 2**63 - 1):
        assert len(offsets_header(count)) == 128
        with open(write(tmp_path / "x", offsets_header(count)), "rb") as file:
            assert np.lib.format.read_magic(file) == (1, 0)
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
            assert (shape, is_fortran, dtype.str, file.tell()) == ((count,), False, "<u8", 128)


def test_it_moves_with_files_beside_it(folder: Path, tmp_path: Path) -> None:
    check_places(open_index(folder / "index"), folder)
    folder.rename(tmp_path / "moved")
    check_places(open_index(tmp_path / "moved" / "index"), tmp_path / "moved")
    (tmp_path / "link").symlink_to(tmp_path / "moved" / "index")
    check_places(open_index(tmp_path / "link"), tmp_path / "moved")
    index = open_index(f"file://{tmp_path}/moved/index")
    assert index.offsets.tolist() == open_index(tmp_path / "link").offsets.tolist()
    assert index.files[0].path == f"file://{tmp_path}/moved/x-0"


def test_it_moves_alone_where_the_files_are_elsewhere(folder: Path, tmp_path: Path) -> None:
    made = index_records([folder / "x-*"], tmp_path / "other" / "index", workers=1)
    check_places(made, folder)
    (tmp_path / "other" / "index").rename(tmp_path / "moved")
    check_places(open_index(tmp_path / "moved"), folder)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe")
    write_records(path, [b"content"])
    for output in (tmp_path / "index", tmp_path / "elsewhere" / "index"):
        index_records([path], output)
        assert open_index(output).files[0].path == str(path)


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))


def test_a_time_in_whole_seconds_is_the_same_time(folder: Path, tmp_path: Path) -> None:
    """Archives and some file systems keep no more."""
    index = open_index(folder / "index")
    seconds = index.files[0].modified // 10**9
    os.utime(folder / "x-0", ns=(0, seconds * 10**9))
    index.check_files()
    for other in (seconds * 10**9 + 1, (seconds + 1) * 10**9, (seconds - 1) * 10**9):
        os.utime(folder / "x-0", ns=(0, other))
        with pytest.raises(UserError, match="/x-0 was written again since"):
            index.check_files()


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + framed(b"more"))


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rewrite, "1 of the 3 files of the index /.*/index are no .*: /.*/x-2 was written again"),
        (
            lengthen,
            r"/x-2 had [\d,]+ bytes then, and [\d,]+ now; index the files again: `textreel",
        ),
        (Path.unlink, "no such file or directory: /.*/x-2; index the files again"),
        (replace_by_directory, "/x-2 is a directory"),
    ],
)
def test_a_file_that_changed_is_named(
    folder: Path, change: Callable[[Path], None], message: str
) -> None:
    change(folder / "x-2")
    with pytest.raises(UserError, match=message):
        open_index(folder / "index")
    assert len(load_index(folder / "index")) == 13, "which asks nothing of the files"


def test_all_changed_files_are_counted(folder: Path) -> None:
    for number in (0, 2):
        rewrite(folder / f"x-{number}")
    (folder / "x-1").unlink()
    with pytest.raises(UserError, match=r"3 of the 3 files .*: /.*/x-0 was written again"):
        open_index(folder / "index")


def test_every_bit_of_what_it_says_counts(folder: Path) -> None:
    path = folder / "index" / "index.json"
    whole = path.read_bytes()
    for offset in range(0, len(whole), 7):
        flip(path, offset)
        with pytest.raises(UserError, match=r"index\.json is damaged"):
            open_index(folder / "index")
        path.write_bytes(whole)


def test_damaged_offsets_are_named(folder: Path) -> None:
    path = folder / "index" / "offsets.npy"
    whole = path.read_bytes()
    open_index(folder / "index").check_offsets()
    flip(path, len(whole) - 1)
    with pytest.raises(UserError, match=r"offsets\.npy is damaged: .* was found in /.*/x-2; index"):
        open_index(folder / "index").check_offsets()
    for data in (whole[:-1], whole[:-8], b"", b"x" * 300, whole[:90], pickled(), npy(np.zeros(5))):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"offsets\.npy is damaged: .*; index the files again"):
            _ = open_index(folder / "index").offsets
    path.write_bytes(npy(np.zeros(12, "<u8")))
    with pytest.raises(UserError, match=r"damaged: it is no array of 13 offsets, as index\.json"):
        _ = open_index(folder / "index").offsets
    path.unlink()
    with pytest.raises(UserError, match=r"offsets\.npy is missing; index the files again"):
        _ = open_index(folder / "index").offsets


def npy(array: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def pickled() -> bytes:
    return npy(np.array([{}] * 13))


def test_what_is_no_index(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^no such index: .*/none$"):
        open_index(tmp_path / "none")
    with pytest.raises(UserError, match=r"/data is no index: it has no index\.json\. If `textreel"):
        open_index(folder)
    with pytest.raises(UserError, match=r"/x-0 is no index: it has no index\.json"):
        open_index(folder / "x-0")
    write(folder / "index" / "index.json", sealed({"format": 1}))
    with pytest.raises(UserError, match="is of format 1, and this textreel reads 2; index the"):
        open_index(folder / "index")


ROW = ["x", 100, 7, 3, "0" * 64]


@pytest.mark.parametrize(
    "changes",
    [
        {"files": None},
        {"files": [ROW[:4]]},
        {"files": ["abcde"]},
        {"files": []},
        {"files": [["x", 0, 7, 0, "0" * 64]]},
        {"checked": 1},
        *[{"files": [[*ROW[:1], size, *ROW[2:]]]} for size in (-1, 47, 2**63, 1e9, True, "1")],
        *[{"files": [[*ROW[:3], count, ROW[4]]]} for count in (-1, 7, None)],
        *[{"files": [[path, *ROW[1:]]]} for path in ("", 7, "a\0b", "\ud800")],
        *[{"files": [[*ROW[:4], blake3]]} for blake3 in ("", "g" * 64, "0" * 65, None)],
    ],
)
def test_what_it_says_is_checked(folder: Path, changes: dict[str, Any]) -> None:
    content = {"format": 2, "checked": False, "files": [ROW]}
    write(folder / "index" / "index.json", sealed(content))
    assert len(load_index(folder / "index")) == 3
    write(folder / "index" / "index.json", sealed({**content, **changes}))
    with pytest.raises(UserError, match=r"index\.json is damaged: .*; index the files again"):
        load_index(folder / "index")
    del content[next(iter(changes))]
    write(folder / "index" / "index.json", sealed(content))
    with pytest.raises(UserError, match=r"index\.json is damaged"):
        load_index(folder / "index")


def test_an_index_of_a_billion_records_opens_at_once(tmp_path: Path) -> None:
    """Its 8 GB are a sparse file: nothing of it is read."""
    folder = tmp_path / "index"
    write_records(tmp_path / "x", [b"content"])
    index_records([tmp_path / "x"], folder)
    count = 10**9
    row = ["x", 16 * count, 0, count, "0" * 64]
    write(folder / "index.json", sealed({"format": 2, "checked": False, "files": [row]}))
    with open(folder / "offsets.npy", "wb") as file:
        file.write(offsets_header(count))
        file.truncate(file.tell() + 8 * count)
    index = load_index(folder)
    assert index.place(count - 1).number == count - 1
    assert index.offsets[count // 2] == 0
