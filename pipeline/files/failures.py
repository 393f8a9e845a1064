"""Failures of stores: which pass when one waits, and what to say of those that stay."""

import errno
import logging
import math
import multiprocessing
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.sizes import count_text, time_text
from pipeline.terminal import show_warning

_Result = TypeVar("_Result")
_ATTEMPTS = 6  # beside those of the libraries, which know fewer failures
_FIRST_SECONDS, _MOST_SECONDS = 0.5, 16.0  # from one attempt to the next
_LAST_SECONDS = 120.0  # no attempt after these: some libraries make many of their own in each
_UNREACHED_SECONDS = 10.0  # the same, of a store that never answered: its address may be wrong
_SILENT_SECONDS = 3.0  # before it is said what is waited for; a busy store is not worth a word
_WORDS_SECONDS = 60.0  # from one word about a store to the next
_PASSING_STATUSES = {408, 409, 425, 429, 500, 502, 503, 504}
_ABSENT = (404, 410)
_PRECONDITION_FAILED = 412  # some libraries say FileExistsError, some only this
_STAYING = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError)
# Errors of the network that are no OSErrors, by the names of their classes and bases.
_NETWORK = {
    "ChecksumError",  # gcsfs
    "ClientError",  # aiohttp; that of botocore has a status
    "ConnectionError",  # botocore and requests have their own
    "HTTPClientError",  # botocore
    "IncompleteRead",
    "RequestException",  # requests
    "ServiceRequestError",  # azure
    "ServiceResponseError",
    "TransportError",  # httpx and google.auth
}
# An answer that is cut or garbled, to aiohttp: it says 400, which no server did.
_CUT = {"BadHttpMessage", "PayloadEncodingError"}
# They would print what is going on, and what we say ourselves.
_LOGGERS = ("aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "google.auth", "s3fs")


CREDENTIALS = "docs/stores.md says how each store takes credentials"

_lock = threading.Lock()
_reached: set[str] = set()  # the stores that ever answered this process
_said_at: dict[str, float] = {}  # store -> when it was said that it is waited for


class NotReachedError(ConnectionError):
    """Says that a store cannot be reached, which has not answered before."""


class StoreError(UserError):
    """A store that refuses, or does not answer: it says nothing of what is there."""


def quieten() -> None:
    """Keeps the libraries' own reports from a terminal that asked for none."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def retried(uri: str, verb: str, call: Callable[[], _Result]) -> _Result:
    """Returns what a call of a store returns, which is made again while its failure may pass.

    Waits longer and longer, by random amounts, so that workers do not come all at once, and says so
    on standard error when it has taken some seconds.

    Args:
        uri: what it is about, for messages.
        verb: `read` or `written`.
        call: idempotent.

    Raises:
        FileNotFoundError, FileExistsError: as the store says.
        StoreError: any other failure; it names the URI, what the store said, and how often.
    """
    began, store = time.monotonic(), "/".join(uri.split("/")[:3])
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            result = call()
            _reached.add(store)
            return result
        except UserError:
            raise
        except Exception as given:
            error = _unhidden(given)
            if isinstance(error, FileNotFoundError | FileExistsError):
                _reached.add(store)
                error.filename = error.filename or uri
                raise
            status = http_status(error)
            if status is not None:
                _reached.add(store)
            if status == _PRECONDITION_FAILED:
                raise FileExistsError(f"{uri} is there already") from error
            if not passes(error):
                raise StoreError(f"{uri} cannot be {verb}: {_said(error)}") from error
            seconds = time.monotonic() - began
            if attempt == _ATTEMPTS or seconds > _longest(store):
                raise StoreError(
                    f"{uri} cannot be {verb}, {count_text(attempt, 'attempt')} long: "
                    f"{_said(error)}; {_remedy(store)}"
                ) from error
            _say_what_is_waited_for(store, error, seconds)
        time.sleep(pause_seconds(attempt))
    raise AssertionError


def passes(error: BaseException) -> bool:
    """Whether a failure may pass: the store is busy, or the network broke."""
    if isinstance(error, _STAYING):
        return False
    status = http_status(error)
    if status is not None:
        return status in _PASSING_STATUSES
    for each in _chain(error):
        if isinstance(each, ConnectionError | TimeoutError | EOFError):
            return True
        if isinstance(each, OSError) and each.errno in (errno.EBUSY, errno.EIO, errno.EREMOTEIO):
            return True
        if (_NETWORK | _CUT) & {kind.__name__ for kind in type(each).__mro__}:
            return True
    return False


def _unhidden(error: Exception) -> BaseException:
    """What an error comes from, where fsspec's HTTP client says of any that there is no file."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None:
        return error
    status = http_status(cause)
    is_hidden = passes(cause) if status is None else status not in _ABSENT
    return cause if is_hidden else error


def _is_reached(store: str) -> bool:
    """Whether a store has answered: a worker does not know, but who started it had reached it."""
    return store in _reached or multiprocessing.parent_process() is not None


def _longest(store: str) -> float:
    """The seconds after which there is no other attempt."""
    return _LAST_SECONDS if _is_reached(store) else min(_UNREACHED_SECONDS, _LAST_SECONDS)


def _remedy(store: str) -> str:
    if _is_reached(store):
        return "when the store is reached again, run the same command"
    return f"{store} has not answered at all: see to the network and to the address of the store"


def _say_what_is_waited_for(store: str, error: BaseException, seconds: float) -> None:
    """Says it once a while, however many threads wait."""
    with _lock:
        now = time.monotonic()
        if seconds < _SILENT_SECONDS or now < _said_at.get(store, -math.inf) + _WORDS_SECONDS:
            return
        _said_at[store] = now
    most = time_text(_longest(store))
    show_warning(f"{store} is waited for, up to about {most}: {_said(error)}")


def pause_seconds(attempt: int) -> float:
    """Returns how long to wait after an attempt, by chance: `attempt` counts from 1."""
    longest = min(_MOST_SECONDS, _FIRST_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)


def http_status(error: BaseException) -> int | None:
    """Returns the status of HTTP that an error comes from, however its library says it."""
    for each in _chain(error):
        if _CUT & {kind.__name__ for kind in type(each).__mro__}:
            continue
        response: Any = getattr(each, "response", None)
        if isinstance(response, dict):  # botocore
            response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        candidates = [getattr(each, name, None) for name in ("status", "status_code", "code")]
        for value in (*candidates, response, getattr(response, "status_code", None)):
            text = str(value)
            if isinstance(value, int | str) and text.isdigit() and 400 <= int(text) <= 599:
                return int(text)
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__


def _said(error: BaseException) -> str:
    status = http_status(error)
    said = " ".join(str(error).split()) or type(error).__name__
    said = said if len(said) <= 300 else said[:300] + "…"
    if (
        status in (401, 403)
        or isinstance(error, PermissionError)
        or any(
            kind.__name__ == "ClientAuthenticationError" for kind in type(error).__mro__
        )  # azure
        or re.search("redential|orbidden", said)
    ):
        said += f"; {CREDENTIALS}"
    return said if status is None or str(status) in said else f"{said} (status {status})"
