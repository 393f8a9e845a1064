"""Paths: of files of this machine, and URIs of files in stores."""

import os
import re

from pipeline.errors import OptionError

# What stands before `://` -> the extra of textreel that reaches it.
EXTRAS = {
    "gs": "gcs",
    "gcs": "gcs",
    "s3": "s3",
    "s3a": "s3",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "hf": "hf",
    "http": "https",
    "https": "https",
}
_READ_ONLY = ("hf", "https")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


AnyPath = str | os.PathLike[str]


def is_uri(path: str) -> bool:
    """Whether a path is a URI such as `gs://bucket/file`."""
    return "://" in path


def local_path(path: str) -> str:
    """Returns the path of a file of this machine, also where it is given as `file://…`."""
    return path.removeprefix("file://") if path.startswith("file:///") else path


def is_in_store(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a store, not to a file of this machine."""
    return is_uri(local_path(os.fspath(path)))


def checked_path(path: str | os.PathLike[str], option: str) -> str:
    """Returns a path that is what it seems to be: `file://` is taken off.

    Args:
        path: as a user gave it.
        option: its name, for the message.

    Raises:
        OptionError: it is none, or empty, or begins as a URI and is none (`gs:/bucket`,
            `C:/text`), or has a scheme of which nothing is known.
    """
    given = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not given or not isinstance(given, str):
        raise OptionError(f"`{option}` must be a path, got {path!r}")
    if given.startswith("file:///"):
        return local_path(given)
    match = _SCHEME.match(given)
    if match is None or given.startswith("tfds:"):
        return given
    scheme, rest = match.groups()
    if rest.startswith("//"):
        if not re.match(r"//[^/]", rest):
            raise OptionError(f"`{option}` must name a bucket after {scheme}://, got {given}")
        if scheme not in EXTRAS:
            raise OptionError(
                f"`{option}` must be a path or a URI of a known store ("
                f"{', '.join(f'{name}://' for name in EXTRAS)}), got {given}"
            )
        return given
    is_drive = len(scheme) == 1 and rest[:1] in ("", "/", "\\")
    if is_drive or scheme.lower() in EXTRAS or scheme.lower() == "file" or rest[:1] in ("", "/"):
        remedy = f"./{given} for a file of that name"
        if not is_drive:
            remedy = f"{scheme}://{rest.lstrip('/')} for a store, or {remedy}"
        raise OptionError(f"`{option}` must be a path or a URI, got {given}; write {remedy}")
    return given


def checked_output(path: str | os.PathLike[str], option: str) -> str:
    """Returns `checked_path` of what is to be written.

    Raises:
        OptionError: see `checked_path`; or it is of a store that is only read.
    """
    given = checked_path(path, option)
    if EXTRAS.get(given.partition("://")[0]) in _READ_ONLY:
        raise OptionError(
            f"`{option}` must be a directory, or a URI of a store that is written (gs://, s3://, "
            f"az://), got {given}"
        )
    return given


def absolute_path(path: str | os.PathLike[str]) -> str:
    """Returns a path that holds wherever a process stands; that of a store holds as it is."""
    path = os.fspath(path)
    return path if is_in_store(path) else os.path.abspath(local_path(path))


def join(directory: str | os.PathLike[str], name: str) -> str:
    """The path of a file in a directory; `pathlib` would take a slash from a URI."""
    return os.fspath(directory).rstrip("/") + "/" + name


def split_path(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Returns the directory of a file and its name there."""
    folder, _, name = os.fspath(path).rpartition("/")
    return folder, name
