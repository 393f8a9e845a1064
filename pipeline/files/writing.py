"""Writing of files, here and in stores: whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from pipeline.files import store
from pipeline.files.local import os_errors_name
from pipeline.files.paths import is_in_store, local_path


def make_directory(path: str) -> None:
    """Makes a directory and those above it, where they are missing; a store needs none.

    Raises:
        OSError: it cannot be made, or not be written into.
    """
    if is_in_store(path):
        return
    path = local_path(path)
    os.makedirs(path, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "no permission", path)


@contextlib.contextmanager
def whole_file(
    path: str | os.PathLike[str],
    *,
    temporary: str | os.PathLike[str] | None = None,
    synced: bool = True,
    once: bool = False,
) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears whole or not at all, over one that is there.

    Where anything is raised meanwhile, what was written goes. A file for a store is kept among the
    temporary files of this machine (`TMPDIR`) until it is put there, by one request that the store
    takes whole or not at all.

    Args:
        path: the file.
        temporary: where it lies meanwhile, in the same file system; `None`: beside it. The file
            that is yielded has its place as its `name`. Of no effect for a store.
        synced: it is on the disk before it has its name, so that it is whole even if the power
            fails; takes milliseconds.
        once: in a store, nothing may be there but just this file, as it is where two processes
            make the same. Of no effect here, where a lock keeps them apart.

    Raises:
        OSError: it cannot be written.
        FileExistsError: `once`, and another file is there.
        UserError: it cannot be written, in a store.
    """
    path = os.fspath(path)
    if is_in_store(path):
        with tempfile.NamedTemporaryFile(prefix="textreel-") as spooled:
            yield cast(BinaryIO, spooled)
            spooled.flush()
            store.put(spooled.name, path, once=once)
        return
    path = local_path(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.incomplete") if temporary is None else temporary
    try:
        with os_errors_name(path), open(temporary, "wb", buffering=2**20) as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def put_file(local: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Puts a file of this machine into a store, whole, over one that is there.

    Raises:
        OSError: the file cannot be read.
        UserError: it cannot be written.
    """
    store.put(os.fspath(local), os.fspath(path), once=False)


def write_text(path: str | os.PathLike[str], text: str, *, once: bool = False) -> None:
    """Writes a file of UTF-8 by `whole_file`."""
    with whole_file(path, once=once) as file:
        file.write(text.encode())
