"""Files at URIs, wherever TensorFlow's file system reaches; it is imported for them alone."""

import io
from typing import Any, BinaryIO, cast

from pipeline.errors import UserError


def gfile() -> Any:
    """Returns TensorFlow's module of file operations."""
    import tensorflow as tf

    return tf.io.gfile


def stat(path: str) -> tuple[bool, int, int]:
    """Looks up a URI: whether it is a directory, its bytes, when it last changed (nanoseconds).

    Raises:
        UserError: there is nothing, or it cannot be read.
    """
    import tensorflow as tf

    try:
        found = tf.io.gfile.stat(path)
    except tf.errors.NotFoundError as error:
        if tf.io.gfile.isdir(path):  # object stores know prefixes, not directories
            return True, 0, 0
        raise UserError(f"no such file or directory: {path}") from error
    except tf.errors.OpError as error:
        raise UserError(f"{path} cannot be read: {error.message}") from error
    return bool(found.is_directory), int(found.length), int(found.mtime_nsec)


def write(uri: str, temporary: str, content: bytes) -> None:
    """Writes a file to a URI by way of another one, which is renamed.

    Raises:
        UserError: it cannot be written.
    """
    import tensorflow as tf

    try:
        with tf.io.gfile.GFile(temporary, "wb") as file:
            file.write(content)
        tf.io.gfile.rename(temporary, uri, overwrite=True)
    except tf.errors.OpError as error:
        raise UserError(f"{uri} cannot be written: {error.message}") from error


def open_read(uri: str) -> BinaryIO:
    """Opens a file for reading.

    Raises:
        UserError: it cannot be opened.
    """
    return cast(BinaryIO, _RemoteFile(uri))


class _RemoteFile(io.RawIOBase):
    """TensorFlow's file as a Python file, as the libraries that read formats expect it."""

    def __init__(self, uri: str):
        self._uri = uri
        self._file = gfile().GFile(uri, "rb")
        self._call(self._file.size)  # opening is lazy: fail here

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._call(self._file.read, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._call(self._file.seek, offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._call(self._file.tell))

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def _call(self, function: Any, *arguments: Any) -> Any:
        import tensorflow as tf

        try:
            return function(*arguments)
        except tf.errors.OpError as error:
            raise UserError(f"{self._uri} cannot be read: {error.message}") from error
