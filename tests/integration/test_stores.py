"""Corpora in stores: prepared there, from there, and all that is done to one on a disk."""

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import storage
from corpora import files, shard_files, text, write_many
from storage_proxy import Request
from training import ROOT

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.verify import verify
from pipeline.files import join, names_in, put_file, read_bytes, remove, write_text
from pipeline.indexing.build import index_records
from pipeline.layout.record_index import open_index
from pipeline.text.directories import Choice, list_files

OPTIONS = PrepareOptions(
    vocabulary="char", splits={"train": 0.9, "validation": 0.1}, shard_bytes=20_000
)
OTHERS = PrepareOptions(shard_bytes=20_000)


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest) -> storage.Store:
    """A store of each kind."""
    found: storage.Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("texts") / "src", num_files=20, large=60_000)


@pytest.fixture(scope="module")
def expected(texts: Path) -> dict[str, bytes]:
    """The files of the corpus, as they are on a disk."""
    prepare([texts], texts.parent / "corpus", OPTIONS, workers=1)
    return files(texts.parent / "corpus")


def contents(uri: str) -> dict[str, bytes]:
    return {name: read_bytes(join(uri, name)) for name in names_in(uri)}


def upload(folder: Path, uri: str) -> str:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            put_file(path, join(uri, str(path.relative_to(folder))))
    return uri


def test_a_corpus_in_a_store_has_the_bytes_of_one_on_a_disk(
    store: storage.Store, texts: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    bucket = store.new_bucket()
    source = upload(texts, f"{bucket}/texts")
    output = f"{bucket}/corpora/one"
    prepare([source], output, OPTIONS, workers=1)
    assert contents(output) == expected
    prepare([source], tmp_path / "from", OPTIONS, workers=1)
    assert files(tmp_path / "from") == expected
    assert not verify(output).problems
    assert open_corpus(output).fingerprint == open_corpus(tmp_path / "from").fingerprint


def test_what_need_not_wait_is_asked_for_at_once(s3: storage.Store) -> None:
    """The places where shards begin, and the removal of a journal's entries: four are held back."""
    bucket = s3.new_bucket()
    write_text(f"{bucket}/text.txt", text(90_000))
    barriers = {"GET": threading.Barrier(4), "DELETE": threading.Barrier(4)}
    seen: Counter[str] = Counter()

    def fault(request: Request) -> None:
        is_place = "text.txt" in request.path and request.range is not None
        if is_place or (request.method == "DELETE" and "tfrecord" in request.path):
            seen[request.method] += 1
            if seen[request.method] <= 4:
                barriers[request.method].wait(20)

    s3.proxy.fault = fault
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=10_000)
    assert len(prepare([f"{bucket}/text.txt"], f"{bucket}/corpus", options, workers=1).shards) > 5
    assert min(seen.values()) > 4
    assert not any(barrier.broken for barrier in barriers.values())


def test_a_whole_corpus_is_replaced_on_demand_alone(
    store: storage.Store, texts: Path, expected: dict[str, bytes]
) -> None:
    output = f"{store.new_bucket()}/corpus"
    prepare([texts], output, OTHERS, workers=1)
    before = contents(output)
    with pytest.raises(UserError, match=r"holds a corpus already, .*; nothing was changed"):
        prepare([texts], output, OPTIONS, workers=1)
    assert contents(output) == before
    prepare([texts], output, OPTIONS, workers=1, overwrite=True)
    assert contents(output) == expected


def test_a_damaged_shard_is_found_and_repaired(
    store: storage.Store, texts: Path, expected: dict[str, bytes]
) -> None:
    output = f"{store.new_bucket()}/corpus"
    prepare([texts], output, OPTIONS, workers=1)
    first, second, *_ = [name for name in expected if "tfrecord" in name]
    write_text(join(output, first), "damaged")
    remove(join(output, second))
    found = verify(output)
    assert found.bad_shards == (first, second)
    assert repair(output, [texts]) == (first, second)
    assert contents(output) == expected


def test_other_files_are_left_alone(store: storage.Store, texts: Path) -> None:
    bucket = store.new_bucket()
    write_text(f"{bucket}/mine/notes.txt", "mine")
    with pytest.raises(UserError, match="exists and is no corpus"):
        prepare([texts], f"{bucket}/mine", OPTIONS, workers=1, overwrite=True)
    with pytest.raises(UserError, match="is the output"):
        list_files(f"{bucket}/mine", Choice(leave_out=f"{bucket}/mine/"))
    assert names_in(f"{bucket}/mine") == ["notes.txt"]


def test_records_in_a_store_are_indexed_there(
    store: storage.Store, texts: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    bucket = store.new_bucket()
    shards = upload(texts.parent / "corpus", f"{bucket}/corpus")
    patterns = [f"{shards}/*.tfrecord-*", f"{shards}/*-train.tfrecord-0000[01]*"]
    here = index_records(patterns[1:], tmp_path / "index", workers=1)
    there = index_records(patterns[1:], f"{bucket}/index", workers=1)
    assert names_in(f"{bucket}/index") == ["index.json", "offsets.npy"]
    assert (there.offsets == here.offsets).all()
    open_index(f"{bucket}/index").check_offsets()
    with pytest.raises(UserError, match="holds another index"):
        index_records(patterns[:1], f"{bucket}/index", workers=1)
    more = index_records(patterns[:1], f"{bucket}/index", workers=1, overwrite=True)
    assert len(more.files) == sum("tfrecord" in name for name in expected) > len(there.files)


def test_texts_come_from_the_hub_and_from_the_web(
    hub: storage.Store, texts: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    bucket = hub.new_bucket()
    shutil.copytree(texts, storage.hub_folder(hub, bucket), dirs_exist_ok=True)
    prepare([storage.hub_uri(bucket)], tmp_path / "hub", OPTIONS, workers=1)
    assert files(tmp_path / "hub") == expected
    large = f"{bucket}/large%20file.txt"
    prepare([large], tmp_path / "web", OTHERS, workers=1)
    prepare([texts / "large file.txt"], tmp_path / "disk", OTHERS, workers=1)
    shards = [[p.read_bytes() for p in shard_files(tmp_path / d)] for d in ("web", "disk")]
    assert shards[0] == shards[1] != []


def test_preparing_imports_no_tensorflow_and_says_nothing_of_the_libraries(
    store: storage.Store, texts: Path, expected: dict[str, bytes]
) -> None:
    output = f"{store.new_bucket()}/corpus"
    program = f"""
import sys
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
if __name__ == "__main__":
    options = PrepareOptions(vocabulary="char", splits={OPTIONS.splits!r}, shard_bytes=20_000)
    prepare([{str(texts)!r}], {output!r}, options, workers=2)
    assert "tensorflow" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert contents(output) == expected


PEAK = """
import resource, sys
from pipeline import PrepareOptions, prepare
options = PrepareOptions(shard_bytes=16 * 2**20, splits={"train": 1.0})
prepare([sys.argv[1]], sys.argv[2], options, workers=2)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit is that of Linux")
@pytest.mark.parametrize("name", ["google", "s3"])
def test_a_worker_needs_the_library_and_a_part_more_than_for_a_disk(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Its peak memory in MiB: the library is shared, a part of an upload is its own."""
    store: storage.Store = request.getfixturevalue(name)
    (tmp_path / "text").write_bytes(b"some text on a line of its own\n" * 1_100_000)
    peaks = []
    for output in (tmp_path / "corpus", f"{store.new_bucket()}/corpus"):
        child = subprocess.run(
            [sys.executable, "-c", PEAK, tmp_path / "text", output],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(float(child.stdout))
    assert peaks[1] - peaks[0] < 60
    bodies = [request.body_bytes for request in store.proxy.requests]
    assert max(bodies) == 5 * 2**20
