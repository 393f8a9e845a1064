"""Files of this machine, and by URI in stores (`gs://`, `s3://`, `az://`, `hf://`, `https://`, …).

    paths      what is a path, and what a URI
    status     what a path is
    failures   which failures of a store pass, and how long one waits for that
    azure      the file system of Azure, as adlfs does not have it
    systems    the file systems of fsspec, and their thread
    store      files in stores, through fsspec
    local      files of this machine
    listing    looks; removes and moves
    reading    blocks, text, digests
    fetching   whole files of a store -> files of this machine
    writing    files whole or not at all
    requests   how many requests all that makes

What is below `file://` is a file of this machine. Libraries of stores are imported when a URI is
used, TensorFlow never.
"""

from pipeline.files.failures import StoreError
from pipeline.files.fetching import FETCH_BYTES, fetch_file, read_ranges
from pipeline.files.listing import (
    entries,
    exists,
    file_status,
    file_statuses,
    files_matching,
    move,
    names_in,
    remove,
    remove_files,
    remove_tree,
    size_of,
)
from pipeline.files.local import identity_of, is_same_file, os_errors_name, sync_directory
from pipeline.files.paths import (
    AnyPath,
    absolute_path,
    checked_output,
    checked_path,
    is_in_store,
    is_uri,
    join,
    local_path,
    split_path,
)
from pipeline.files.reading import (
    BLOCK_BYTES,
    digest,
    local_copy,
    open_file,
    parse_json,
    read_blocks,
    read_bytes,
    read_first,
    read_range,
    read_text,
)
from pipeline.files.requests import COUNTED, Asking, Requests, asking
from pipeline.files.status import FileStatus
from pipeline.files.systems import release
from pipeline.files.writing import make_directory, put_file, whole_file, write_text

__all__ = [
    "BLOCK_BYTES",
    "COUNTED",
    "FETCH_BYTES",
    "AnyPath",
    "Asking",
    "FileStatus",
    "Requests",
    "StoreError",
    "absolute_path",
    "asking",
    "checked_output",
    "checked_path",
    "digest",
    "entries",
    "exists",
    "fetch_file",
    "file_status",
    "file_statuses",
    "files_matching",
    "identity_of",
    "is_in_store",
    "is_same_file",
    "is_uri",
    "join",
    "local_copy",
    "local_path",
    "make_directory",
    "move",
    "names_in",
    "open_file",
    "os_errors_name",
    "parse_json",
    "put_file",
    "read_blocks",
    "read_bytes",
    "read_first",
    "read_range",
    "read_ranges",
    "read_text",
    "release",
    "remove",
    "remove_files",
    "remove_tree",
    "size_of",
    "split_path",
    "sync_directory",
    "whole_file",
    "write_text",
]
