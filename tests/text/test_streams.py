"""Standard input and pipes, kept as files for as long as they are needed."""

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.errors import UserError
from pipeline.text.pieces import Stream
from pipeline.text.streams import is_stream, spooled


@pytest.fixture
def make_path(tmp_path: Path) -> Callable[[str], str]:
    """Makes the folder of the spool, as the journal does."""

    def make(name: str) -> str:
        (tmp_path / "out/.prepare").mkdir(parents=True, exist_ok=True)
        return str(tmp_path / "out/.prepare" / name)

    return make


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_without_it_nothing_is_made(tmp_path: Path) -> None:
    def no_path(name: str) -> str:
        raise AssertionError("it is not wanted")

    with spooled([tmp_path / "a", "b"], no_path) as found:
        assert found == [str(tmp_path / "a"), "b"]


@pytest.mark.parametrize("size", [0, 3, 8, 5_000_000])
def test_it_is_a_file_until_the_end_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[str], str], size: int
) -> None:
    data = bytes(range(250)) * (size // 250 + 1)
    give(monkeypatch, data[:size])
    with spooled(["a", "-"], make_path) as (first, second):
        assert first == "a"
        assert isinstance(second, Stream)
        assert (second.name, second.shown) == ("-", "standard input")
        assert Path(second.path).read_bytes() == data[:size]
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[str], str]
) -> None:
    give(monkeypatch, b"text")
    with spooled(["-"], make_path):
        (tmp_path / "out/shard").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard"]


def test_an_error_meanwhile_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[str], str]
) -> None:
    give(monkeypatch, b"text")
    with pytest.raises(ZeroDivisionError), spooled(["-"], make_path):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_kept_too(tmp_path: Path, make_path: Callable[[str], str]) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        os.mkfifo(path)
        threading.Thread(target=path.write_bytes, args=(path.name.encode() * 10**5,)).start()
    file = tmp_path / "file"
    file.touch()
    assert [is_stream(path) for path in (*paths, file, tmp_path, "-", "absent")] == [
        *(True, True, False, False, True, False)
    ]
    with spooled([paths[0], file, paths[1]], make_path) as (first, second, third):
        assert second == str(file)
        for number, kept, path in ((1, first, paths[0]), (2, third, paths[1])):
            assert isinstance(kept, Stream)
            assert (kept.name, kept.shown) == (f"pipe:{number}", f"the pipe {path}")
            assert Path(kept.path).read_bytes() == path.name.encode() * 10**5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "one", "two"]


def test_a_stream_is_given_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[str], str]
) -> None:
    give(monkeypatch, b"text")
    with (
        pytest.raises(UserError, match="the same stream twice: - and -"),
        spooled(["-", "-"], make_path),
    ):
        raise AssertionError("it is not read")
    assert list(tmp_path.iterdir()) == []
