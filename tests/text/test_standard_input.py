"""Standard input, kept as a file for as long as it is needed."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from backports import zstd

from pipeline.errors import UserError
from pipeline.text.standard_input import spooled


@pytest.fixture
def make_path(tmp_path: Path) -> Callable[[], str]:
    """Makes the folder of the spool, as the journal does."""

    def make() -> str:
        (tmp_path / "out/.prepare").mkdir(parents=True)
        return str(tmp_path / "out/.prepare/standard_input")

    return make


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_without_it_nothing_is_made(tmp_path: Path) -> None:
    def no_path() -> str:
        raise AssertionError("it is not wanted")

    with spooled([tmp_path / "a", "b"], no_path) as found:
        assert found == ([str(tmp_path / "a"), "b"], None)


@pytest.mark.parametrize("size", [0, 3, 8, 5_000_000])
def test_it_is_a_file_until_the_end_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[], str], size: int
) -> None:
    data = bytes(range(250)) * (size // 250 + 1)
    give(monkeypatch, data[:size])
    with spooled(["a", "-"], make_path) as (paths, file):
        assert paths == ["a", "-"]
        assert file is not None
        assert Path(file).read_bytes() == data[:size]
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[], str]
) -> None:
    give(monkeypatch, b"text")
    with spooled(["-"], make_path):
        (tmp_path / "out/shard").touch()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shard"]


def test_an_error_meanwhile_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_path: Callable[[], str]
) -> None:
    give(monkeypatch, b"text")
    with pytest.raises(ZeroDivisionError), spooled(["-"], make_path):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("compress", "name"),
    [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz"),
     (zstd.compress, "zstd")],
)  # fmt: skip
def test_compressed_text_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_path: Callable[[], str],
    compress: Callable[[bytes], bytes],
    name: str,
) -> None:
    give(monkeypatch, compress(b"text"))
    with (
        pytest.raises(UserError, match=f"compressed with {name}; decompress it"),
        spooled(["-"], make_path),
    ):
        raise AssertionError("it is not read")
    assert list(tmp_path.iterdir()) == []
