"""Files of this machine, by their paths and by `file://`: whole or not at all."""

import contextlib
import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from blake3 import blake3
from corpora import write

from pipeline import UserError
from pipeline.files import (
    BLOCK_BYTES,
    digest,
    exists,
    file_status,
    file_statuses,
    files_matching,
    identity_of,
    is_same_file,
    join,
    make_directory,
    open_file,
    read_blocks,
    read_bytes,
    read_first,
    read_text,
    sync_directory,
    whole_file,
    write_text,
)

PREFIXES = ["", "file://"]


def names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_file_is_written_whole_over_an_old_one(tmp_path: Path, prefix: str) -> None:
    path = f"{prefix}{tmp_path}/x"
    for content in (b"old", b"new" * 2**20, b""):
        with whole_file(path) as file:
            file.write(content[:1])
            before = (tmp_path / "x").exists() and (tmp_path / "x").read_bytes()
            file.write(content[1:])
            assert before in (False, b"old", b"new" * 2**20)
            assert before != content
        assert (tmp_path / "x").read_bytes() == content
        assert names_in(tmp_path) == ["x"]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("old", [None, b"old"])
@pytest.mark.parametrize("written", [b"", b"part", b"x" * 2**22])
def test_what_is_raised_meanwhile_leaves_the_old_file(
    tmp_path: Path, prefix: str, old: bytes | None, written: bytes
) -> None:
    if old is not None:
        (tmp_path / "x").write_bytes(old)

    def fail() -> None:
        with whole_file(f"{prefix}{tmp_path}/x") as file:
            file.write(written)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert names_in(tmp_path) == ([] if old is None else ["x"])
    assert old is None or (tmp_path / "x").read_bytes() == old


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_what_fails_at_the_end_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """A full disk shows when the content is to be on it; a rename may fail, too."""
    (tmp_path / "x").write_bytes(b"old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, stage, full)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "x", "new")
    assert names_in(tmp_path) == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("fsync", "replace"):
        original: Callable[..., Any] = getattr(os, name)

        def noted(*arguments: Any, name: str = name, original: Any = original) -> Any:
            size = os.fstat(arguments[0]).st_size if name == "fsync" else None
            calls.append((name, size))
            return original(*arguments)

        monkeypatch.setattr(os, name, noted)
    write_text(tmp_path / "x", "content")
    assert calls == [("fsync", 7), ("replace", None)]
    sync_directory(tmp_path)
    assert [name for name, _ in calls] == ["fsync", "replace", "fsync"]


def test_the_temporary_file_lies_where_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    temporary = tmp_path / "elsewhere/t"
    with whole_file(tmp_path / "x", temporary=temporary) as file:
        assert Path(file.name) == temporary
        file.write(b"content")
        assert names_in(tmp_path) == ["elsewhere"]
        assert names_in(tmp_path / "elsewhere") == ["t"]
    assert names_in(tmp_path) == ["elsewhere", "x"]
    assert names_in(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES, 3 * BLOCK_BYTES + 17])
def test_a_digest_is_that_of_the_whole_file(tmp_path: Path, prefix: str, size: int) -> None:
    data = os.urandom(size)
    write(tmp_path / "x", data)
    assert digest(f"{prefix}{tmp_path}/x") == blake3(data).hexdigest()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_files_are_written_and_read_in_folders_that_are_made(tmp_path: Path, prefix: str) -> None:
    folder = join(f"{prefix}{tmp_path}", "very/deep")
    assert not exists(folder)
    make_directory(folder)
    make_directory(folder)
    assert exists(folder)
    path = join(folder, "x.json")
    with pytest.raises(FileNotFoundError):
        read_text(path)
    write_text(path, "old")
    write_text(path, "naïve\r\n" * 100_000)
    assert read_text(path) == "naïve\r\n" * 100_000
    assert names_in(tmp_path / "very/deep") == ["x.json"]
    write(tmp_path / "bytes", b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_text(f"{prefix}{tmp_path}/bytes")


def test_join_keeps_the_slashes_of_a_uri() -> None:
    assert join("gs://bucket/run/", "events") == "gs://bucket/run/events"
    assert join(Path("/run"), "events") == "/run/events"


def test_what_cannot_be_written_behind_a_uri_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for call in (
        lambda: make_directory(f"file://{tmp_path}/file/below"),
        lambda: write_text(f"file://{tmp_path}/none/x.json", "x"),
    ):
        with pytest.raises(OSError, match=rf"{tmp_path}/"):
            call()


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_path_is_what_it_is(tmp_path: Path, prefix: str) -> None:
    write(tmp_path / "x", b"12345")
    file, folder = file_status(f"{prefix}{tmp_path}/x"), file_status(f"{prefix}{tmp_path}")
    assert (file.is_directory, file.num_bytes, folder.is_directory) == (False, 5, True)
    assert file.identity != folder.identity
    with pytest.raises(UserError, match=r"no such file or directory: .*/none"):
        file_status(f"{prefix}{tmp_path}/none")
    os.utime(tmp_path / "x", ns=(7, 123_456_789_012_345_678))
    seen = file_status(f"{prefix}{tmp_path}/x").modified
    assert 0 <= 123_456_789_012_345_678 - seen < (10**9 if prefix else 1000)


def test_links_are_the_file_that_they_lead_to(tmp_path: Path) -> None:
    write(tmp_path / "x", "x")
    (tmp_path / "soft").symlink_to(tmp_path / "x")
    os.link(tmp_path / "x", tmp_path / "hard")
    identities = {file_status(str(tmp_path / name)).identity for name in ("x", "soft", "hard")}
    assert len(identities) == 1
    (tmp_path / "gone").symlink_to(tmp_path / "none")
    with pytest.raises(UserError, match="is a symbolic link to a file that is not there"):
        file_status(str(tmp_path / "gone"))
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    with pytest.raises(UserError, match="ring cannot be read: "):
        file_status(str(tmp_path / "ring"))


def test_blocks_are_the_bytes(tmp_path: Path) -> None:
    data = os.urandom(BLOCK_BYTES * 2 + 100)
    path = write(tmp_path / "x", data)
    for place in (str(path), f"file://{path}"):
        blocks = list(read_blocks(place, 7, len(data) - 5))
        assert max(map(len, blocks)) == BLOCK_BYTES
        assert b"".join(blocks) == data[7:-5]
        with pytest.raises(
            UserError, match=rf"x ends at byte {len(data)}, but had {len(data) + 1}"
        ):
            list(read_blocks(place, 0, len(data) + 1))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_first_bytes(tmp_path: Path, prefix: str) -> None:
    place = f"{prefix}{write(tmp_path / 'x', b'0123456789')}"
    assert [read_first(place, size) for size in (4, 10, 100)] == [b"0123", *[b"0123456789"] * 2]


def test_a_file_behind_a_uri_is_a_file_of_python(tmp_path: Path) -> None:
    write(tmp_path / "x", b"0123456789")
    with open_file(f"file://{tmp_path}/x") as file, io.BufferedReader(file) as buffered:
        assert (buffered.readable(), buffered.seekable()) == (True, True)
        assert buffered.read(3) == b"012"
        assert (buffered.seek(-2, os.SEEK_END), buffered.read()) == (8, b"89")
        assert (buffered.seek(1), buffered.seek(2, os.SEEK_CUR), buffered.tell()) == (1, 3, 3)
        assert buffered.read(100) == b"3456789"
    for prefix in PREFIXES:
        with pytest.raises(FileNotFoundError):
            open_file(f"{prefix}{tmp_path}/none")


def test_a_file_that_is_not_synced_is_whole_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    for is_synced in (False, True):
        with whole_file(tmp_path / "x", synced=is_synced) as file:
            file.write(b"content")
            assert not (tmp_path / "x").exists() or is_synced
        assert (tmp_path / "x").read_bytes() == b"content"
        assert len(synced) == is_synced


@pytest.mark.parametrize("prefix", PREFIXES)
def test_patterns_match_as_in_a_shell_sorted(tmp_path: Path, prefix: str) -> None:
    for name in ("b", "a", "c", "d1", "d/e"):
        write(tmp_path / name, name)
    place = f"{prefix}{tmp_path}"
    assert files_matching(f"{place}/[ab]") == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert files_matching(f"{place}/d?") == [f"{tmp_path}/d1"]
    assert files_matching(f"{place}/x*") == []


@pytest.mark.parametrize("prefix", PREFIXES)
def test_many_files_are_looked_up_in_their_order(tmp_path: Path, prefix: str) -> None:
    paths = [f"{prefix}{write(tmp_path / str(size), 'x' * size)}" for size in range(100)]
    assert [status.num_bytes for status in file_statuses(paths)] == list(range(100))
    with pytest.raises(UserError, match=r"no such file or directory: .*/none"):
        file_statuses([*paths, f"{prefix}{tmp_path}/none"])


@pytest.mark.parametrize(
    ("number", "is_raised"),
    [("EINVAL", False), ("EBADF", False), ("ENOTSUP", False), ("EIO", True), ("ENOSPC", True)],
)
def test_only_what_knows_no_sync_of_directories_may_refuse_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, is_raised: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, number), "no")

    monkeypatch.setattr(os, "fsync", refuse)
    context = pytest.raises(OSError, match="no") if is_raised else contextlib.nullcontext()
    with context as raised:
        sync_directory(tmp_path)
    assert raised is None or raised.value.filename == str(tmp_path)


def test_a_file_is_known_by_its_inode_or_where_there_is_none_by_its_path(tmp_path: Path) -> None:
    one, two = write(tmp_path / "one", "x"), write(tmp_path / "two", "x")
    (tmp_path / "hard").hardlink_to(one)
    (tmp_path / "soft").symlink_to(one)
    assert is_same_file(str(one), tmp_path / "hard")
    assert is_same_file(str(one), tmp_path / "soft")
    assert not is_same_file(str(one), two)
    without = os.stat_result((0o100644, 0, *os.stat(one)[2:]))
    names = ("one", "hard", "soft", "two")
    one_, hard, soft, two_ = (identity_of(str(tmp_path / name), without) for name in names)
    assert one_ == soft
    assert len({one_, hard, two_}) == 3


def test_files_of_one_inode_are_others_where_their_sizes_or_times_are(tmp_path: Path) -> None:
    def identity(size: int, changed: int, mode: int = 0o100644) -> object:
        status: Any = SimpleNamespace(
            st_mode=mode, st_ino=7, st_dev=1, st_size=size, st_mtime_ns=changed
        )
        return identity_of(str(tmp_path), status)

    assert identity(5, 1) == identity(5, 1)
    assert len({identity(5, 1), identity(6, 1), identity(5, 2)}) == 3
    assert identity(5, 1, 0o040755) == identity(6, 2, 0o040755)  # a folder that is written to


def test_reading_that_fails_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("pipeline.files.reading.open_file", lambda path, **_: Failing())
    with pytest.raises(OSError, match="Input/output error: '/some/file'"):
        list(read_blocks("/some/file", 0, 10))
    with pytest.raises(OSError, match="Input/output error: '/some/file'"):
        read_bytes("/some/file")
