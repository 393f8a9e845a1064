"""What a manifest says is believed only where it can be."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import files, make, text
from manifests import MANIFEST

from pipeline import UserError
from pipeline.layout.loading import load_manifest
from pipeline.layout.sealed import sealed


def content() -> Any:
    parsed = json.loads(MANIFEST.to_json())
    del parsed["blake3"]
    return parsed


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    MANIFEST.save(tmp_path)
    loaded = load_manifest(tmp_path)
    assert loaded == MANIFEST
    assert loaded.fingerprint == MANIFEST.fingerprint
    assert load_manifest(f"file://{tmp_path}") == MANIFEST


def test_a_directory_that_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no such corpus: .*/absent"):
        load_manifest(tmp_path / "absent")
    with pytest.raises(UserError, match=r"is no corpus: it has no manifest\.json"):
        load_manifest(tmp_path)


def set_in(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(parsed: Any) -> None:
        for key in keys[:-1]:
            parsed = parsed[key]
        parsed[keys[-1]] = value

    return change


SHARD = ("splits", "train", "shards", 0)
LIES = {
    "another format": (set_in("format", value=1), "of format 1, and this textreel reads 5"),
    "no record": (set_in("record_tokens", value=0), "`record_tokens` is 0"),
    "negative": (set_in("record_tokens", value=-1), "`record_tokens` is -1"),
    "another record": (set_in("record_tokens", value=168), "9 tokens are not 3 records"),
    "large record": (set_in("record_tokens", value=2**60), "`record_tokens` is"),
    "true is no number": (set_in("record_tokens", value=True), "`record_tokens` is True"),
    "separator": (set_in("separator_id", value=300), "`separator_id` is 300"),
    "name": (set_in("name", value="../x"), "`name` is"),
    "vocabulary": (set_in("vocabulary_size", value=70_000), "dtype uint16 is not that of 70000"),
    "dtype": (set_in("dtype", value="float64"), "`dtype` is 'float64'"),
    "fingerprint": (set_in("vocabulary_fingerprint", value="x"), "`vocabulary_fingerprint` is"),
    "parent": (set_in(*SHARD, "file", value="../x"), "the file '../x' is called text-train"),
    "absolute": (set_in(*SHARD, "file", value="/etc/passwd"), "the file '/etc/passwd' is called"),
    "tokens": (set_in(*SHARD, "num_tokens", value=10), "10 tokens are not 3 records of 120"),
    "bytes": (set_in(*SHARD, "disk_bytes", value=2**40), "9 tokens are not 3 records of"),
    "digest": (set_in(*SHARD, "blake3", value=None), "`blake3` is None"),
    "no source": (set_in(*SHARD, "pieces", 0, value=[3, 0, 1, 0]), "is no piece of a source"),
    "too long": (set_in(*SHARD, "pieces", 0, value=[0, 0, 91, 0]), "is no piece of a source"),
    "empty piece": (set_in(*SHARD, "pieces", 0, value=[0, 5, 5, 0]), "is no piece of a source"),
    "row": (set_in(*SHARD, "pieces", 0, value=[0, 0, 1]), "is damaged"),
    "source": (set_in("sources", 0, value=["a", 0, 0, True, True]), "is no source"),
    "twice": (set_in("sources", 1, value=["a b.txt", 5, 5, True, True]), "have one name"),
    "no shard": (set_in("splits", "train", "shards", value=[]), "has no shard"),
    "no split": (set_in("splits", value={}), "there is no split"),
    "other splits": (set_in("options", "splits", value={"a": 1.0}), "not those of the options"),
    "no options": (set_in("options", value=[]), "`options` is no object"),
    "files": (set_in("files", value={}), "`files` lacks"),
    "a file elsewhere": (set_in("files", "../x.json", value="01" * 32), "is no name of a file"),
    "formats": (set_in("file_formats", value=["riegeli"]), "no file formats"),
    "skipped where": (set_in("skipped", 0, 0, value=3), "are no skipped rows"),
    "skipped none": (set_in("skipped", 0, 2, value=[]), "are no skipped rows"),
    "skipped less": (set_in("skipped", 0, 1, value=1), "are no skipped rows"),
    "skipped text": (set_in("skipped", 0, 2, 0, 1, value="line"), "are no skipped rows"),
    "lacking": (lambda parsed: parsed.pop("dtype"), "no 'dtype'"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(tmp_path: Path, lie: str) -> None:
    """Sealed again: not the digest shows it, but what it says."""
    change, message = LIES[lie]
    parsed = content()
    change(parsed)
    (tmp_path / "manifest.json").write_text(sealed(parsed))
    with pytest.raises(UserError, match=message) as error:
        load_manifest(tmp_path)
    assert "manifest.json" in str(error.value)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    whole = MANIFEST.to_json().encode()
    path = tmp_path / "manifest.json"
    for bit in range(0, 8 * len(whole), 7):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"manifest\.json is damaged"):
            load_manifest(tmp_path)


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_a_corpus_has_its_files_in_its_directory(tmp_path: Path, kind: str) -> None:
    corpus = make(tmp_path, text(1000), shard_bytes=300)
    directory = Path(corpus.directory)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    for name in ("manifest.json", "vocabulary.json", corpus.manifest.shards[1].file):
        path = directory / name
        saved = path.read_bytes()
        path.unlink()
        if kind == "link":
            path.symlink_to(elsewhere)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            path.mkdir()
        with pytest.raises((UserError, OSError)):
            load_manifest(directory)
        path.rmdir() if kind == "directory" else path.unlink()
        path.write_bytes(saved)
    assert load_manifest(directory) == corpus.manifest
    assert elsewhere.read_bytes() == b"precious"
    assert len(files(directory)) > 3
