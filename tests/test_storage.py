"""The servers of `storage` do what the clients of others expect, and fail as they are told."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request

import fsspec
import pytest
import storage
import tensorflow as tf
from storage_proxy import Fault, Request


@pytest.mark.parametrize("server", ["google", "s3", "azure"])
def test_objects_are_written_listed_read_by_range_and_removed(
    server: str, request: pytest.FixtureRequest
) -> None:
    store: storage.Store = request.getfixturevalue(server)
    file_system, bucket = fsspec.core.url_to_fs(store.new_bucket())
    file_system.pipe_file(f"{bucket}/a/b", b"0123456789")
    assert file_system.cat_file(f"{bucket}/a/b", start=3, end=5) == b"34"
    file_system.invalidate_cache()
    assert file_system.find(bucket) == [f"{bucket}/a/b"]
    file_system.rm_file(f"{bucket}/a/b")
    file_system.invalidate_cache()
    assert not file_system.exists(f"{bucket}/a/b")
    assert store.proxy.count("PUT" if server != "google" else "POST") >= 1


def test_files_are_read_by_https_and_as_a_hugging_face_data_set(hub: storage.Store) -> None:
    bucket = hub.new_bucket()
    folder = storage.hub_folder(hub, bucket)
    (folder / "data").mkdir()
    (folder / "data/a.txt").write_bytes(b"0123456789")
    for uri in (bucket, storage.hub_uri(bucket)):
        file_system, path = fsspec.core.url_to_fs(uri)
        assert file_system.cat_file(f"{path}/data/a.txt", start=3, end=5) == b"34"
        assert file_system.info(f"{path}/data/a.txt")["size"] == 10
        assert not file_system.exists(f"{path}/data/none.txt")
    assert file_system.glob(f"{path}/**/*.txt") == [f"{path}/data/a.txt"]
    assert "hf" in type(file_system).protocol


def test_tensorflows_own_client_reaches_the_google_server(google: storage.Store) -> None:
    bucket = google.new_bucket()
    with tf.io.gfile.GFile(f"{bucket}/a/b", "wb") as file:
        file.write(b"0123456789")
    tf.io.gfile.rename(f"{bucket}/a/b", f"{bucket}/a/c")
    assert tf.io.gfile.listdir(f"{bucket}/a") == ["c"]
    assert tf.io.read_file(f"{bucket}/a/c").numpy() == b"0123456789"
    assert google.proxy.received >= 10
    assert any(request.range for request in google.proxy.requests)


def test_the_proxy_fails_as_told(hub: storage.Store) -> None:
    bucket = hub.new_bucket()
    (storage.hub_folder(hub, bucket) / "f").write_bytes(b"0123456789")

    def outcome(fault: Fault) -> bytes | str:
        hub.proxy.reset()
        hub.proxy.fault = lambda request: fault
        try:
            with urllib.request.urlopen(f"{bucket}/f", timeout=10) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            return str(error.code)
        except Exception as error:
            return type(error).__name__

    assert outcome(Fault()) == b"0123456789"
    assert outcome(Fault(status=503)) == "503"
    assert outcome(Fault(reset=True)) in ("ConnectionResetError", "RemoteDisconnected", "URLError")
    assert outcome(Fault(lose_answer=True)) != b"0123456789"
    assert outcome(Fault(cut=4)) in ("IncompleteRead", "ConnectionResetError")
    assert hub.proxy.sent == 0


@pytest.mark.parametrize("kind", ["kill", "kill_after"])
def test_the_proxy_kills_a_client_at_a_request(kind: str, hub: storage.Store) -> None:
    bucket = hub.new_bucket()
    (storage.hub_folder(hub, bucket) / "f").write_bytes(b"0123456789")
    program = (
        "import urllib.request\nfor _ in range(5): urllib.request.urlopen(sys.argv[1]).close()"
    )
    pids: list[int] = []

    def fault(request: Request) -> Fault | None:
        return Fault(**{kind: pids[0]}) if request.number == 2 else None

    hub.proxy.fault = fault
    command = [sys.executable, "-c", "import sys; sys.stdin.readline()\n" + program, f"{bucket}/f"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        pids.append(client.pid)
        client.communicate(b"\n")
    assert client.returncode == -signal.SIGKILL
    assert len(hub.proxy.requests) == 3
