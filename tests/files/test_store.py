"""Files in stores: any name, any range, parts that fit into memory, copies that have ended."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import storage
from training import ROOT

from pipeline.files import azure as azure_files
from pipeline.files import (
    files_matching,
    move,
    names_in,
    put_file,
    read_bytes,
    remove,
    size_of,
    systems,
    write_text,
)
from pipeline.files.store import read_range


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest) -> storage.Store:
    found: storage.Store = request.getfixturevalue(request.param)
    return found


NAMES = ("a b", "ü😀", "a#b", "a?b", "a?b#c", "a%20b", "%zz", "a+b", "a&b=c", "a'b", "a:b", "q?")


def test_a_file_may_have_any_name(store: storage.Store) -> None:
    folder = f"{store.new_bucket()}/a folder"
    for name in NAMES:
        write_text(f"{folder}/{name}", name, once=True)
    assert names_in(folder) == sorted(NAMES)
    for name in NAMES:
        assert read_bytes(f"{folder}/{name}") == name.encode()
        assert size_of(f"{folder}/{name}") == len(name.encode())
        move(f"{folder}/{name}", f"{folder}/moved/{name}")
        assert read_bytes(f"{folder}/moved/{name}") == name.encode()
        remove(f"{folder}/moved/{name}")
    assert names_in(folder) == []


def test_a_pattern_may_end_with_a_question_mark(store: storage.Store) -> None:
    folder = f"{store.new_bucket()}/texts"
    for name in ("part-1", "part-2", "part-10", "other"):
        write_text(f"{folder}/{name}", "x")
    assert files_matching(f"{folder}/part-?") == [f"{folder}/part-1", f"{folder}/part-2"]


def test_a_range_ends_where_the_file_ends(store: storage.Store) -> None:
    bucket = store.new_bucket()
    write_text(f"{bucket}/x", "hello")
    write_text(f"{bucket}/empty", "")
    assert read_range(f"{bucket}/x", 3, 100) == b"lo"
    assert read_range(f"{bucket}/x", 10, 100) == b""
    assert read_range(f"{bucket}/empty", 0, 100) == b""
    assert read_bytes(f"{bucket}/empty") == b""
    with pytest.raises(FileNotFoundError):
        read_range(f"{bucket}/none", 0, 100)


def test_an_upload_goes_in_parts_that_fit_into_memory(store: storage.Store, tmp_path: Path) -> None:
    """Azure's client takes 64 MB in one piece otherwise."""
    content = os.urandom(2**20) * 20
    (tmp_path / "x").write_bytes(content)
    path = f"{store.new_bucket()}/x"
    put_file(tmp_path / "x", path)
    parts = [request.body_bytes for request in store.proxy.requests]
    assert max(parts) <= azure_files.PART_BYTES
    assert sum(part for part in parts if part > 2**20) == len(content)
    assert read_bytes(path) == content


@pytest.mark.parametrize("end", ["success", "failed"])
def test_a_copy_of_azure_is_waited_for(
    end: str, azure: storage.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server goes on with one after the answer: the source must not go before."""
    from azure.storage.blob.aio import BlobClient

    looks = iter(["pending", "pending", end])
    begin = BlobClient.start_copy_from_url

    async def begun(client: Any, url: str) -> dict[str, Any]:
        return {**await begin(client, url), "copy_status": "pending"}

    async def look(client: Any) -> Any:
        return SimpleNamespace(copy=SimpleNamespace(status=next(looks)))

    monkeypatch.setattr(BlobClient, "start_copy_from_url", begun)
    monkeypatch.setattr(BlobClient, "get_blob_properties", look)
    monkeypatch.setattr(azure_files, "_COPY_SECONDS", 0.01)
    bucket = azure.new_bucket()
    write_text(f"{bucket}/x", "hello")
    if end == "success":
        move(f"{bucket}/x", f"{bucket}/y")
        assert names_in(bucket) == ["y"]
    else:
        system, path = systems.file_system(bucket)
        with pytest.raises(OSError, match="copy has ended as 'failed'"):
            system.cp_file(f"{path}/x", f"{path}/y")
    assert next(looks, None) is None


def test_a_process_ends_in_silence(store: storage.Store) -> None:
    """Whether its connections were ended, as before a fork, or are open."""
    path = f"{store.new_bucket()}/x"
    program = f"from pipeline.files import *\nwrite_text({path!r}, 'hello')\nrelease()\n"
    again = f"assert read_bytes({path!r}) == b'hello'"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for each in (program, program + again):
        command = [sys.executable, "-c", each]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
