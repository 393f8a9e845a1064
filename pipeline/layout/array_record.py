"""The records of a shard as an array_record file: random access for PyTorch and JAX.

`tfds.data_source` reads such files without TensorFlow. One holds the same Examples as the
TFRecord file beside it, in the same order, and is made from it: its bytes follow from the
shard's, so the manifest, which says what tokens a corpus has, does not mention it.
"""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UserError
from pipeline.layout.records import example_of, read_records
from pipeline.preparing import journal

FORMAT = "array_record"  # as TFDS names it, also in the names of files
# One record a group: each can be read alone. Tokens hardly shrink, and decompressing costs time.
_WRITER_OPTIONS = "group_size:1,uncompressed"


def array_record_path(tfrecord_path: str) -> str:
    """The file beside a shard: `text-train.tfrecord-0…` -> `text-train.array_record-0…`."""
    folder, name = os.path.split(tfrecord_path)
    before, _, after = name.rpartition(".tfrecord-")
    return os.path.join(folder, f"{before}.{FORMAT}-{after}")


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


def remove_array_records(directory: Path) -> bool:
    """Removes all such files of a corpus; returns whether there were any."""
    files = list(directory.glob(f"*.{FORMAT}-*-of-*"))
    for file in files:
        file.unlink()
    return bool(files)


def write_array_record(tfrecord_path: str, advance: Callable[[int], None]) -> None:
    """Copies the records of a shard into the array_record file beside it. A task of an engine.

    The file appears whole, by a rename, or not at all.

    Raises:
        UserError: the shard is damaged; it names the file, the record and the byte offset.
        OSError: a file cannot be read or written.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    path = array_record_path(tfrecord_path)
    temporary = journal.temporary_path(path)
    try:
        with open(temporary, "wb") as file:  # its errors are OSError, the writer's are not
            writer = ArrayRecordWriter(temporary, _WRITER_OPTIONS)
            for payload in read_records(tfrecord_path):
                writer.write(example_of(payload))
                advance(len(payload))
            writer.close()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except UserError as error:
        raise UserError(f"{tfrecord_path}: {error}; see `textreel repair`") from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def find_problem(tfrecord_path: str) -> str | None:
    """What is wrong with the array_record file beside a shard that is whole; `None`: nothing."""
    path = array_record_path(tfrecord_path)
    name = os.path.basename(path)
    if not os.path.exists(path):
        return f"{name} beside it is missing"
    check_installed()
    from array_record.python.array_record_module import ArrayRecordReader

    try:
        reader = ArrayRecordReader(path)
        for index, payload in enumerate(read_records(tfrecord_path)):
            if reader.read([index]) != [example_of(payload)]:
                return f"{name} beside it differs in record {index}"
    except (IndexError, RuntimeError, ValueError) as error:
        return f"{name} beside it is damaged ({error})"
    return None
