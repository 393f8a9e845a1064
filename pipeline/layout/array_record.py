"""Array_record files beside the shards: the same records, for random access by PyTorch and JAX.

`as_data_source` of TFDS reads such files without TensorFlow. One holds the same Examples as the
TFRecord file beside it, in the same order, and is made from it: its bytes follow from the
shard's, so the manifest, which says what tokens a corpus has, does not mention it.
"""

import contextlib
import fnmatch
import os
from collections.abc import Callable

from pipeline.errors import UserError
from pipeline.files import AnyPath, join, local_copy, names_in, remove, whole_file
from pipeline.layout.names import ARRAY_RECORD, array_record_path, shards_pattern
from pipeline.layout.records import example_of, read_records

# One record a group: each can be read alone. Tokens hardly shrink, and decompressing costs time.
_WRITER_OPTIONS = "group_size:1,uncompressed"


def check_installed() -> None:
    """Refuses to begin what could not be finished.

    Raises:
        UserError: the package is not there.
    """
    try:
        from array_record.python import array_record_module  # noqa: F401
    except ImportError as error:
        raise UserError(
            '`array_record` needs the package: pip install "textreel[array_record]"'
        ) from error


def remove_array_records(directory: AnyPath) -> None:
    """Removes all such files of a corpus."""
    for name in names_in(directory):
        if fnmatch.fnmatchcase(name, shards_pattern(ARRAY_RECORD)):
            remove(join(directory, name))


def write_array_record(tfrecord_path: str, temporary: str, advance: Callable[[int], None]) -> None:
    """Copies the records of a shard into the array_record file beside it.

    The file appears whole, by a rename, or not at all.

    Args:
        tfrecord_path: the shard.
        temporary: where the file lies meanwhile.
        advance: is told how many more bytes are done.

    Raises:
        UserError: the shard is damaged; it names the file, the record and the byte offset.
        OSError: a file cannot be read or written.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    try:
        # Opened here too: the errors of this file are OSErrors, the writer's are not.
        with whole_file(array_record_path(tfrecord_path), temporary=temporary) as file:
            writer = ArrayRecordWriter(file.name, _WRITER_OPTIONS)
            for payload in read_records(tfrecord_path):
                writer.write(example_of(payload))
                advance(len(payload))
            writer.close()
    except UserError as error:
        raise UserError(f"{tfrecord_path}: {error}; see `textreel repair`") from error


def find_problem(tfrecord_path: str, read_path: str | None = None) -> str | None:
    """What is wrong with the array_record file beside a shard that is whole; `None`: nothing.

    Args:
        tfrecord_path: the shard.
        read_path: where it lies on this machine, if it is a copy.
    """
    path = array_record_path(tfrecord_path)
    name = os.path.basename(path)
    check_installed()
    with contextlib.ExitStack() as copies:
        try:
            copy = copies.enter_context(local_copy(path))
        except FileNotFoundError:
            copy = ""
        if not os.path.exists(copy):
            return f"{name} beside it is missing"
        return _difference(name, copy, read_path or tfrecord_path)


def _difference(name: str, path: str, tfrecord_path: str) -> str | None:
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(path)
        for index, payload in enumerate(read_records(tfrecord_path)):
            if reader.read([index]) != [example_of(payload)]:
                return f"{name} beside it differs in record {index}"
    except (IndexError, RuntimeError, ValueError) as error:
        return f"{name} beside it is damaged ({error})"
    return None
