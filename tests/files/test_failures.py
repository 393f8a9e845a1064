"""Failures of stores: those that pass are waited for, all others are said at once."""

import re
import time
from collections.abc import Callable

import pytest
import storage
from aiohttp.http_exceptions import ContentLengthError
from botocore.exceptions import EndpointConnectionError
from storage_proxy import Fault, Request

from pipeline.errors import UserError
from pipeline.files import (
    StoreError,
    exists,
    failures,
    file_status,
    names_in,
    read_bytes,
    systems,
    whole_file,
    write_text,
)
from pipeline.files import azure as azure_files

SMALL, LARGE = b"small", bytes(range(256)) * 4 * 8192  # in one request, and in several


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    found: storage.Store = request.getfixturevalue(request.param)
    return found


def first_time(fault: Fault, when: Callable[[Request], bool]) -> Callable[[Request], Fault | None]:
    """A fault that happens to the first request of a kind."""
    seen: list[Request] = []

    def decide(request: Request) -> Fault | None:
        if seen or not when(request):
            return None
        seen.append(request)
        return fault

    return decide


FAULTS = {
    "busy": Fault(status=503),
    "too many": Fault(status=429),
    "reset": Fault(reset=True),
    "answer lost": Fault(lose_answer=True),
    "cut": Fault(cut=2),
}


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_one_failure_changes_nothing(store: storage.Store, fault: Fault, content: bytes) -> None:
    path = f"{store.new_bucket()}/x"
    store.proxy.fault = first_time(fault, lambda request: request.method in ("PUT", "POST"))
    with whole_file(path, once=True) as file:
        file.write(content)
    store.proxy.reset()
    store.proxy.fault = first_time(fault, lambda request: request.method == "GET")
    assert read_bytes(path) == content
    assert names_in(path.rpartition("/")[0]) == ["x"]


def test_a_transfer_that_is_cut_again_and_again_is_begun_anew(
    azure: storage.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's library gives up after three times."""
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    path = f"{azure.new_bucket()}/x"
    write_text(path, "small")
    cuts = iter([Fault(cut=2)] * 4)
    azure.proxy.fault = lambda request: next(cuts, None)
    assert read_bytes(path) == SMALL
    assert next(cuts, None) is None, "all of them were met"


def test_azure_is_asked_again_when_it_takes_too_long(
    azure: storage.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    monkeypatch.setitem(fsspec.config.conf, "abfss", {"read_timeout": 0.2})
    path = f"{azure.new_bucket()}/x".replace("az://", "abfss://")
    write_text(path, "small")
    delays = iter([Fault(delay=0.6)] * 5)
    azure.proxy.fault = lambda request: next(delays, None)
    assert read_bytes(path) == SMALL
    assert next(delays, None) is None, "all of them were met"


def test_a_store_that_stays_away_is_named_and_is_not_taken_for_an_empty_one(
    store: storage.Store,
) -> None:
    bucket = store.new_bucket()
    store.proxy.fault = lambda request: Fault(status=403)
    for call in (
        lambda: exists(f"{bucket}/x"),
        lambda: names_in(f"{bucket}/x"),
        lambda: read_bytes(f"{bucket}/x"),
        lambda: write_text(f"{bucket}/x", "x"),
    ):
        with pytest.raises(StoreError, match=rf"{bucket}/x cannot be .*: .*credentials"):
            call()


@pytest.fixture
def address(hub: storage.Store, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a file on a server of the web."""
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    bucket = hub.new_bucket()
    (storage.hub_folder(hub, bucket) / "x").write_bytes(SMALL)
    return f"{bucket}/x"


def test_a_busy_server_of_the_web_is_asked_again(hub: storage.Store, address: str) -> None:
    """Its client says of whatever goes wrong that there is no such file."""
    for fault in (Fault(status=503), Fault(reset=True)):
        asked = iter([fault] * 3)
        hub.proxy.fault = lambda request, asked=asked: next(asked, None)
        assert file_status(address).num_bytes == len(SMALL)
        assert next(asked, None) is None, "all three were met"


def test_a_server_of_the_web_that_refuses_is_not_taken_for_one_without_the_file(
    hub: storage.Store, address: str
) -> None:
    hub.proxy.fault = lambda request: Fault(status=403)
    with pytest.raises(StoreError, match=rf"{address} cannot be read: .*403.*credentials"):
        file_status(address)
    hub.proxy.reset()
    with pytest.raises(UserError, match="no such file"):
        file_status(f"{address}y")
    assert not exists(f"{address}y")


def test_a_dead_port_of_the_web_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    address = f"http://127.0.0.1:{storage.free_port()}/x"
    with pytest.raises(StoreError, match=rf"{address} cannot be read, 6 attempts long"):
        file_status(address)


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), True),
        (PermissionError(), False),
        (FileNotFoundError(), False),
        (ValueError("no such option"), False),
        (ContentLengthError("received 2 of 5 bytes"), True),  # its code is 400
    ],
)
def test_what_may_pass(error: Exception, may_pass: bool) -> None:
    assert failures.passes(error) == may_pass
    outer = OSError("wrapped")
    outer.__cause__ = error
    assert failures.passes(outer) == may_pass


def test_there_are_so_many_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: waits.append(attempt) or 0.0)

    def call() -> None:
        raise ConnectionResetError("reset by peer")

    with pytest.raises(StoreError, match="s3://b/x cannot be read, 6 attempts long: reset by peer"):
        failures.retried("s3://b/x", "read", call)
    assert waits == [1, 2, 3, 4, 5]


def test_there_are_fewer_attempts_where_each_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_LAST_SECONDS", -1.0)

    def call() -> None:
        raise ConnectionResetError("reset by peer")

    with pytest.raises(StoreError, match="cannot be read, 1 attempt long"):
        failures.retried("s3://b/x", "read", call)


def reset_by_peer() -> None:
    raise ConnectionResetError("reset by peer")


def test_a_store_that_never_answered_is_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_reached", set())
    monkeypatch.setattr(failures, "_UNREACHED_SECONDS", -1.0)
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.0)
    with pytest.raises(StoreError, match=r"1 attempt long: .*; s3://b has not answered"):
        failures.retried("s3://b/x", "read", reset_by_peer)
    failures.retried("s3://b/y", "read", lambda: None)
    with pytest.raises(StoreError, match=r"6 attempts long: .*; when the store is reached again"):
        failures.retried("s3://b/x", "read", reset_by_peer)
    with pytest.raises(StoreError, match=r"1 attempt long: .*; s3://other has not answered"):
        failures.retried("s3://other/x", "read", reset_by_peer)


def test_it_is_said_once_what_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(failures, "_said_at", {})
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.0)
    for silent_seconds, count in ((60.0, 0), (-1.0, 1)):
        monkeypatch.setattr(failures, "_SILENT_SECONDS", silent_seconds)
        with pytest.raises(StoreError):
            failures.retried("s3://b/x", "read", reset_by_peer)
        said = capsys.readouterr().err
        assert said.count("textreel: warning: s3://b is waited for, up to about ") == count
        assert said.count("\n") == count


def test_gcsfs_does_not_wait_in_silence_for_a_port_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own six attempts take half a minute, each of ours as long."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{storage.free_port()}")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setattr(systems, "_systems", {})
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"gs://nobody/x cannot be read, 6 attempts long: "):
        read_bytes("gs://nobody/x")
    assert time.monotonic() - began < 10


def test_a_condition_that_fails_says_that_something_is_there() -> None:
    class ResponseError(Exception):
        status_code = 412

    def call() -> None:
        raise OSError(22, "At least one of the conditions did not hold") from ResponseError()

    with pytest.raises(FileExistsError, match="s3://b/x is there already"):
        failures.retried("s3://b/x", "written", call)


@pytest.mark.parametrize("connection", ["", "nonsense", "AccountKey=abc"])
def test_azure_without_credentials_says_where_they_are_described(
    connection: str, azure: storage.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systems, "_systems", {})
    whole = azure.environment["AZURE_STORAGE_CONNECTION_STRING"]
    if connection.startswith("AccountKey"):
        connection = re.sub("AccountKey=[^;]*", connection, whole)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    if not connection:
        monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    try:
        with pytest.raises(UserError, match=r"^az://bucket/x.*; docs/stores\.md says how each"):
            exists("az://bucket/x")
    finally:
        azure_files.close(systems._systems.values())
