"""The file system of Azure: that of `adlfs`, with exact names, short waits and small parts.

As it comes, adlfs loses a `?` at the end of a path, waits a minute in silence before it says that a
store is busy, holds uploads of 64 MB in memory, and asks for the end of its connections when the
process ends, on a loop that may have ended before.
"""

import asyncio
import contextlib
import errno
import functools
import os
import weakref
from collections.abc import Iterable
from typing import Any

from pipeline.files import failures

# Of an upload, to any store: the least of Amazon, and a multiple of 256 KiB, as Google wants it.
PART_BYTES = 5 * 2**20
_COPY_SECONDS = 0.5  # from one look at a copy to the next


@functools.cache
def file_system_class() -> Any:
    """Returns the class of the file system.

    Raises:
        ImportError: adlfs is not installed.
    """
    from adlfs import AzureBlobFileSystem
    from azure.core.exceptions import ResourceNotFoundError
    from fsspec.asyn import sync_wrapper

    class AzureFiles(AzureBlobFileSystem):
        """A file system of fsspec."""

        def do_connect(self) -> None:
            """Makes the client, and sets what adlfs has no option for."""
            super().do_connect()
            _set_up(self.service_client)

        @classmethod
        def _strip_protocol(cls, path: Any) -> Any:
            """Only what stands before the first slash is taken for a URL: names may be anything."""
            if isinstance(path, list):
                return [cls._strip_protocol(each) for each in path]
            schemes = [f"{name}://" for name in cls.protocol]
            scheme = next((each for each in schemes if path.startswith(each)), "")
            container, slash, name = path[len(scheme) :].lstrip("/").partition("/")
            return (super()._strip_protocol(scheme + container) + slash + name).lstrip("/")

        async def _cp_file(self, path1: str, path2: str, **options: Any) -> None:
            """Copies, and waits for the end of it: the source may go afterwards."""
            source, target = (
                self.service_client.get_blob_client(*self.split_path(path)[:2])
                for path in (path1, path2)
            )
            try:
                status = (await target.start_copy_from_url(source.url))["copy_status"]
            except ResourceNotFoundError as error:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path1) from error
            while status == "pending":
                await asyncio.sleep(_COPY_SECONDS)
                status = (await target.get_blob_properties()).copy.status
            if status != "success":
                raise OSError(errno.EIO, f"the store's own copy has ended as {status!r}", path2)

        cp_file = sync_wrapper(_cp_file)

    return AzureFiles


def _set_up(client: Any) -> None:
    config = client._config  # there is no other way: adlfs makes the client without options
    config.max_single_put_size = PART_BYTES - 1  # by one request, from memory
    config.max_block_size = PART_BYTES
    config.use_byte_buffer = True  # parts as they come, not of one file at several places
    # Of the library's own three attempts after the first: they repeat a part, not a whole upload.
    config.retry_policy.get_backoff_time = lambda state: failures.pause_seconds(state["count"])


def close(systems: Iterable[Any]) -> None:
    """Ends the connections of file systems, while their loop runs.

    adlfs leaves that to the end of the process, and until then nobody else can: what it registers
    holds the file system.
    """
    for finalizer in _finalizers(systems):
        with contextlib.suppress(Exception):  # as at the end of a process: nobody needs them now
            finalizer()


def forget(systems: Iterable[Any]) -> None:
    """Leaves the connections of file systems to another process, which this one was forked from."""
    for finalizer in _finalizers(systems):
        finalizer.detach()


def _finalizers(systems: Iterable[Any]) -> list[Any]:
    own = {id(system) for system in systems}
    every: Iterable[Any] = list(getattr(weakref.finalize, "_registry", ()))
    pairs = [(finalizer, finalizer.peek()) for finalizer in every]
    return [finalizer for finalizer, found in pairs if found is not None and id(found[0]) in own]
