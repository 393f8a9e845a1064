"""Files of whomever: each loader takes one, or says in one sentence what is wrong with it."""

import json
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from corpora import make
from mutations import mutated_bytes, mutated_json
from samples import COMPRESS
from tfrecords import write_records

from pipeline import UserError, index_records
from pipeline.layout.loading import load_manifest
from pipeline.layout.record_index import load_index
from pipeline.layout.sealed import sealed
from pipeline.preparing import journal
from pipeline.text.formats.compressed import read_compressed
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.loading import load_vocabulary

COUNTS = [100, pytest.param(2000, marks=pytest.mark.campaign)]
MAX_GROWN_BYTES = 512 * 2**20


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make(folder, "some text\nof lines\n" * 200, vocabulary="char", shard_bytes=500)
    return folder / "corpus"


def held(load: Callable[[], object]) -> bool:
    """Whether a file was taken; else the error is one that people are shown."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = "taken"
    try:
        load()
    except (UserError, OSError) as error:
        message = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert message
    assert grown < MAX_GROWN_BYTES
    return message == "taken"


@pytest.mark.parametrize("count", COUNTS)
def test_manifests(directory: Path, count: int) -> None:
    path = directory / "manifest.json"
    whole = path.read_bytes()
    try:
        taken = 0
        for data in mutated_bytes(whole, 1, count):
            path.write_bytes(data)
            taken += held(lambda: load_manifest(directory)) and data != whole
        assert taken == 0  # whatever is changed, the digest shows it
        content = json.loads(b"{" + whole.partition(b"\n")[2])
        for changed in mutated_json(content, 2, count):
            path.write_text(sealed(changed) if changed else "{}")
            if held(lambda: load_manifest(directory)):
                manifest = load_manifest(directory)
                assert all("/" not in shard.file for shard in manifest.shards)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("count", COUNTS)
def test_vocabularies(directory: Path, tmp_path: Path, count: int) -> None:
    path = tmp_path / "vocabulary.json"
    whole = (directory / "vocabulary.json").read_bytes()
    for data in _variants(whole, count):
        path.write_bytes(data)
        held(lambda: load_vocabulary(path))


@pytest.mark.parametrize("count", COUNTS)
def test_tokenizers(tmp_path: Path, count: int) -> None:
    path = tmp_path / "tokenizer.json"
    whole = train_bpe([b"some text to learn merges from, some more text"] * 50, 300).to_json()

    def load() -> None:
        vocabulary = load_vocabulary(path)
        vocabulary.check(b"some text\n")
        vocabulary.decode(vocabulary.encode("some text"))

    for data in _variants(whole.encode(), count):
        path.write_bytes(data)
        held(load)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_texts(tmp_path: Path, suffix: str, count: int) -> None:
    path = tmp_path / f"x{suffix}"
    for data in mutated_bytes(COMPRESS[suffix](b"some text\nof lines\n" * 200), 4, count):
        path.write_bytes(data)
        held(lambda: [*read_compressed(str(path), suffix)])


@pytest.mark.parametrize("count", COUNTS)
def test_journals(tmp_path: Path, count: int) -> None:
    """An entry that is damaged is none: its shard is written anew."""
    shard = tmp_path / "text-train.tfrecord-00000-of-00001"
    shard.write_bytes(b"content")
    (tmp_path / journal.FOLDER).mkdir()
    written = journal.WrittenShard(
        num_tokens=3,
        num_records=1,
        num_bytes=7,
        blake3=journal.digest(str(shard)),
        num_text_bytes=3,
        documents=(1, 0),
    )
    journal.record(str(shard), written)
    entry = tmp_path / journal.FOLDER / f"{shard.name}.json"
    whole = entry.read_bytes()
    assert journal.finished(str(shard)) == written
    for data in mutated_bytes(whole, 3, count):
        entry.write_bytes(data)
        assert journal.finished(str(shard)) == (written if data == whole else None)


@pytest.mark.parametrize("count", COUNTS)
def test_indexes(tmp_path: Path, count: int) -> None:
    write_records(tmp_path / "x", [b"content"] * 50)
    directory = tmp_path / "index"
    offsets = index_records([tmp_path / "x"], directory).offsets.tolist()

    def load() -> None:
        index = load_index(directory)
        index.check_offsets()
        index.check_files()
        assert index.offsets.tolist() == offsets

    for name in ("index.json", "offsets.npy"):
        whole = (directory / name).read_bytes()
        for data in mutated_bytes(whole, 4, count):
            (directory / name).write_bytes(data)
            assert held(load) == (data == whole)
        (directory / name).write_bytes(whole)
    content = json.loads(b"{" + (directory / "index.json").read_bytes().partition(b"\n")[2])
    for changed in mutated_json(content, 5, count):
        (directory / "index.json").write_text(sealed(changed) if changed else "{}")
        held(load)


def _variants(whole: bytes, count: int) -> Iterator[bytes]:
    yield from mutated_bytes(whole, 1, count)
    content: Any = json.loads(whole)
    for changed in mutated_json(content, 2, count):
        yield json.dumps(changed).encode()
    yield from (b"null", b"[]", b"3", b"", b'"x"', b"[" * 10**6, b"9" * 5000)
