"""Paths and URIs: what seems to be a URI and is none is refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from training import ROOT

from pipeline import UserError, open_corpus, prepare
from pipeline.errors import OptionError
from pipeline.files import absolute_path, checked_path, is_in_store, join, split_path

BAD = ["gs:/bucket/x", "gs:bucket", "s3:/b", "GS:/b", "file:x", "file://x", "C:/x", "C:\\x", "C:"]
UNKNOWN = ["foo://bucket/x", "memory://x", "local://x"]


@pytest.mark.parametrize("path", [*BAD, *UNKNOWN, "gs://", "gs:///x", ""])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(OptionError, match=r"^`output` must "):
        checked_path(path, "output")


@pytest.mark.parametrize(
    "path",
    ["x", "/x", "./gs:/x", "a:b", "tfds:ag_news:train", "-", "gs://b/x", "s3://b", "x/C:/y"],
)
def test_others_are_what_they_are(path: str) -> None:
    assert checked_path(path, "output") == path
    assert is_in_store(path) == ("://" in path)


@pytest.mark.parametrize("path", ["https://host/x", "hf://datasets/me/x"])
def test_what_is_only_read_is_no_output(path: str) -> None:
    assert checked_path(path, "sources") == path
    with pytest.raises(OptionError, match="of a store that is written"):
        prepare([__file__], path)


def test_what_is_below_file_is_of_this_machine() -> None:
    assert checked_path("file:///tmp/x", "output") == "/tmp/x"
    assert not is_in_store("file:///tmp/x")
    assert split_path(join("gs://b/c/", "x")) == ("gs://b/c", "x")


COMMANDS = [
    "prepare {} --output here",
    "prepare text --output {}",
    "prepare {} text --output here",
    "plan {}",
    "index {} --output here",
    "index text --output {}",
    "inspect {}",
    "verify {}",
    "repair {} text",
    "trace {} --step 0",
    "train {} --output here",
    "train here --output {}",
    "train here --output here --events {}",
    "evaluate {}",
    "generate {}",
    "export {} --output here",
    "export here --output {}",
    "curves {}",
    "demo --output {}",
]


@pytest.mark.parametrize("path", [*BAD[:2], "C:/x", "foo://b/x"])
def test_every_command_refuses_it_and_makes_nothing(tmp_path: Path, path: str) -> None:
    program = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
from pipeline.cli import parse_arguments
from trainer.cli import build_parser
for command in {COMMANDS!r}:
    try:
        parse_arguments(build_parser(), command.format({path!r}).split())
    except SystemExit as end:
        assert end.code == 2, command
    else:
        raise AssertionError(command)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", BAD)
def test_neither_does_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("some text")
    with pytest.raises(OptionError, match=r"`output` must be a path or a URI"):
        prepare(["text"], path)
    with pytest.raises(UserError):
        open_corpus(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["text"]


def test_an_absolute_path_holds_wherever_a_process_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_path("a/../b") == f"{tmp_path}/b"
    assert absolute_path(f"file://{tmp_path}/b") == absolute_path(Path("b")) == f"{tmp_path}/b"
    assert absolute_path("s3://bucket/a") == "s3://bucket/a"
