"""Failures of stores: those that pass are waited for, all others are said at once."""

from collections.abc import Callable

import pytest
import storage
from botocore.exceptions import EndpointConnectionError
from storage_proxy import Fault, Request

from pipeline.files import (
    StoreError,
    exists,
    failures,
    names_in,
    read_bytes,
    whole_file,
    write_text,
)

SMALL, LARGE = b"small", bytes(range(256)) * 4 * 8192  # in one request, and in several


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    monkeypatch.setattr(failures, "_pause", lambda attempt: 0.01)
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


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), True),
        (PermissionError(), False),
        (FileNotFoundError(), False),
        (ValueError("no such option"), False),
    ],
)
def test_what_may_pass(error: Exception, may_pass: bool) -> None:
    assert failures.passes(error) == may_pass
    outer = OSError("wrapped")
    outer.__cause__ = error
    assert failures.passes(outer) == may_pass


def test_there_are_so_many_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    monkeypatch.setattr(failures, "_pause", lambda attempt: waits.append(attempt) or 0.0)

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


def test_a_condition_that_fails_says_that_something_is_there() -> None:
    class ResponseError(Exception):
        status_code = 412

    def call() -> None:
        raise OSError(22, "At least one of the conditions did not hold") from ResponseError()

    with pytest.raises(FileExistsError, match="s3://b/x is there already"):
        failures.retried("s3://b/x", "written", call)
