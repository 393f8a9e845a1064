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
        OptionError: it is empty, or begins as a URI and is none (`gs:/bucket`, `C:/text`), or has
            a scheme of which nothing is known.
    """
    given = os.fspath(path)
    if not given:
        raise OptionError(f"`{option}` must be a path, got an empty one")
    if given.startswith("file:///"):
        return local_path(given)
    match = _SCHEME.match(given)
    if match is None or given.startswith("tfds:"):
        return given
    scheme, rest = match.groups()
    if rest.startswith("//"):
        if not re.match(r"//[^/]", rest):
            raise OptionError(f"`{option}` must name a bucket after {scheme}://, got {given}")
        _check_scheme(scheme, given, option)
        return given
    is_drive = len(scheme) == 1 and rest[:1] in ("", "/", "\\")
    if is_drive or scheme.lower() in EXTRAS or scheme.lower() == "file" or rest[:1] in ("", "/"):
        remedy = f"./{given} for a file of that name"
        if not is_drive:
            remedy = f"{scheme}://{rest.lstrip('/')} for a store, or {remedy}"
        raise OptionError(f"`{option}` must be a path or a URI, got {given}; write {remedy}")
    return given


def _check_scheme(scheme: str, given: str, option: str) -> None:
    if scheme in EXTRAS:
        return
    from fsspec import available_protocols

    if scheme not in available_protocols():
        raise OptionError(
            f"`{option}` must be a path or a URI of a store that is known ({', '.join(EXTRAS)}, "
            f"and what fsspec knows), got {given}"
        )


def join(directory: str | os.PathLike[str], name: str) -> str:
    """The path of a file in a directory; `pathlib` would take a slash from a URI."""
    return os.fspath(directory).rstrip("/") + "/" + name


def split_path(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Returns the directory of a file and its name there."""
    folder, _, name = os.fspath(path).rpartition("/")
    return folder, name
