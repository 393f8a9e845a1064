"""File systems of `fsspec`, on a thread of our own.

The thread of `fsspec` itself cannot be ended, for whoever else uses it would wait for ever; ours
can, before the process is forked: a fork copies no threads, but the locks that they hold.
"""

import asyncio
import contextlib
import os
import threading
import time
from typing import Any

from pipeline.errors import OptionError
from pipeline.files import azure
from pipeline.files.failures import CREDENTIALS, NotReachedError, StoreError, quieten
from pipeline.files.paths import EXTRAS

_SECONDS = 5.0  # to end connections; what is not ended then ends with the process
_CONNECTIONS = 32  # to Amazon's, whose library has 10, and would let others wait
_loops: dict[int, tuple[Any, threading.Thread]] = {}  # by the process
_systems: dict[Any, Any] = {}
_descriptions: dict[str | None, Any] = {}  # of Amazon's services, by where users have their own
_lock = threading.Lock()


def _forget() -> None:
    azure.forget(_systems.values())
    _systems.clear()


os.register_at_fork(after_in_child=_forget)


def file_system(uri: str) -> tuple[Any, str]:
    """Returns the file system of `fsspec` that a URI leads to, and its path there.

    Credentials and addresses are found by each library in its own way; `FSSPEC_…` variables and
    configuration files of `fsspec` hold as well. Nothing is kept of what a store said.

    Raises:
        StoreError: the library is not installed, or does not come up.
        OptionError: nothing is known of such URIs.
    """
    import fsspec

    scheme = uri.partition("://")[0]
    extra = EXTRAS.get(scheme)
    quieten()
    try:
        kind: Any = (
            azure.file_system_class() if extra == "azure" else fsspec.get_filesystem_class(scheme)
        )
        options = kind._get_kwargs_from_urls(uri)
        with _lock:
            key = os.getpid(), scheme, repr(sorted(options.items()))
            if key not in _systems:
                if kind.async_impl:
                    options["loop"] = _loop()
                if extra == "gcs":
                    options["session_kwargs"] = {"trace_configs": [_first_answer()]}
                system = kind(use_listings_cache=False, skip_instance_cache=True, **options)
                if extra == "s3":
                    system.config_kwargs.setdefault("max_pool_connections", _CONNECTIONS)
                    system.session = system.session or _s3_session(system.kwargs)
                _systems[key] = system
            return _systems[key], str(kind._strip_protocol(uri))
    except ImportError as error:
        wanted = f'pip install "textreel[{extra}]"' if extra else str(error)
        raise StoreError(f"{uri}: {scheme}:// needs a library: {wanted}") from error
    except ValueError as error:
        remedy = f"; {CREDENTIALS}" if extra else ""  # azure finds none
        raise OptionError(f"{uri}: {error}{remedy}") from error
    except Exception as error:
        raise StoreError(f"{uri} cannot be reached: {error}") from error


def release() -> None:
    """Ends the thread and the connections, so that this process may be forked.

    The next use of a store begins anew.
    """
    with _lock:
        azure.close(_systems.values())
        _systems.clear()  # ends the sessions, by tasks of the loop
        loop, thread = _loops.pop(os.getpid(), (None, None))
    if loop is None or thread is None:
        return
    others = _system_thread_ids() - _thread_ids()  # of libraries
    with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
        asyncio.run_coroutine_threadsafe(_settle(), loop).result(_SECONDS)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(_SECONDS)
    if not thread.is_alive():
        loop.close()
    # One that was joined is there for another moment, and whoever counts would find it.
    stop = time.monotonic() + _SECONDS
    while _system_thread_ids() - others - _thread_ids() and time.monotonic() < stop:
        time.sleep(0.001)


def _thread_ids() -> set[int]:
    return {thread.native_id or 0 for thread in threading.enumerate()}


def _system_thread_ids() -> set[int]:
    try:
        return set(map(int, os.listdir("/proc/self/task")))
    except OSError:
        return set()


def _loop() -> Any:
    own = os.getpid()
    if own not in _loops:
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # of sessions that nobody waits for
        thread = threading.Thread(target=loop.run_forever, name="stores", daemon=True)
        thread.start()
        _loops[own] = loop, thread
    return _loops[own][0]


def _s3_session(options: dict[str, Any]) -> Any:
    """The session that s3fs would make, but for what all sessions read: 11 MB, from files of JSON.

    What is read before a fork, the workers share.
    """
    import aiobotocore.session

    session = aiobotocore.session.AioSession(**options)
    path = session.get_config_variable("data_path")
    loader = _descriptions.setdefault(path, session.get_component("data_loader"))
    session.register_component("data_loader", loader)
    return session


def _first_answer() -> Any:
    """Keeps gcsfs from asking again and again, half a minute long, where nothing ever answered.

    Its attempts are silent, and not to be set; `retried` makes its own, and says so. Once a server
    has answered, those of gcsfs are of use: they repeat a part of an upload, not all of it.
    """
    import aiohttp

    has_answered = False

    async def answered(*_: object) -> None:
        nonlocal has_answered
        has_answered = True

    async def failed(_session: object, _context: object, about: Any) -> None:
        error = about.exception
        if not has_answered and isinstance(error, aiohttp.ClientConnectorError):
            raise NotReachedError(str(error)) from error

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(failed)
    return trace


async def _settle() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), _SECONDS / 2)
    await asyncio.get_running_loop().shutdown_default_executor()
