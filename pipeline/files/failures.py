"""Failures of stores: which pass when one waits, and what to say of those that stay."""

import errno
import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pipeline.errors import UserError
from pipeline.sizes import count_text

_Result = TypeVar("_Result")
_ATTEMPTS = 6  # beside those of the libraries, which know fewer failures
_FIRST_SECONDS, _MOST_SECONDS = 0.5, 16.0  # from one attempt to the next
_LAST_SECONDS = 120.0  # no attempt after these: some libraries make many of their own in each
_PASSING_STATUSES = {408, 409, 425, 429, 500, 502, 503, 504}
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
# They would print what is going on, and what we say ourselves.
_LOGGERS = ("aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "google.auth", "s3fs")


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

    Waits longer and longer, by random amounts, so that workers do not come all at once.

    Args:
        uri: what it is about, for messages.
        verb: `read` or `written`.
        call: idempotent.

    Raises:
        FileNotFoundError, FileExistsError: as the store says.
        StoreError: any other failure; it names the URI, what the store said, and how often.
    """
    began = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return call()
        except UserError:
            raise
        except (FileNotFoundError, FileExistsError) as error:
            error.filename = error.filename or uri
            raise
        except Exception as error:
            if _status(error) == _PRECONDITION_FAILED:
                raise FileExistsError(f"{uri} is there already") from error
            if not passes(error):
                raise StoreError(f"{uri} cannot be {verb}: {_said(error)}") from error
            if attempt == _ATTEMPTS or time.monotonic() - began > _LAST_SECONDS:
                raise StoreError(
                    f"{uri} cannot be {verb}, {count_text(attempt, 'attempt')} long: "
                    f"{_said(error)}; when the store is reached again, run the same command"
                ) from error
        time.sleep(_pause(attempt))
    raise AssertionError


def passes(error: BaseException) -> bool:
    """Whether a failure may pass: the store is busy, or the network broke."""
    if isinstance(error, _STAYING):
        return False
    status = _status(error)
    if status is not None:
        return status in _PASSING_STATUSES
    for each in _chain(error):
        if isinstance(each, ConnectionError | TimeoutError | EOFError):
            return True
        if isinstance(each, OSError) and each.errno in (errno.EBUSY, errno.EIO, errno.EREMOTEIO):
            return True
        if _NETWORK & {kind.__name__ for kind in type(each).__mro__}:
            return True
    return False


def _pause(attempt: int) -> float:
    longest = min(_MOST_SECONDS, _FIRST_SECONDS * 2**attempt)
    return random.uniform(longest / 2, longest)


def _status(error: BaseException) -> int | None:
    """The status of HTTP that an error comes from, by any of the ways in which libraries say it."""
    for each in _chain(error):
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
    status = _status(error)
    said = " ".join(str(error).split()) or type(error).__name__
    said = said if len(said) <= 300 else said[:300] + "…"
    if (
        status in (401, 403)
        or isinstance(error, PermissionError)
        or re.search("redential|orbidden", said)
    ):
        said += "; docs/stores.md says how each store takes credentials"
    return said if status is None or str(status) in said else f"{said} (status {status})"
