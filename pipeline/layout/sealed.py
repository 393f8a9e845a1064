"""Sealed JSON: an object in a file that carries the digest of the rest in its first line.

    {"blake3": "9f86d0…",
    "format": 2, …}

It is JSON as any other. A reader of the first line alone sees whether the file is still the one
that it knows.
"""

import json
import os
from typing import Any

from blake3 import blake3

from pipeline.errors import UserError
from pipeline.files import parse_json, read_first, read_text


def sealed(content: dict[str, Any]) -> str:
    """Returns the text of a file with some content, which is JSON values, not empty."""
    rest = json.dumps(content)[1:] + "\n"
    return first_line(digest_of(content)) + "\n" + rest


def digest_of(content: dict[str, Any]) -> str:
    """Returns the BLAKE3 of what stands after the first line, in hex."""
    return blake3((json.dumps(content)[1:] + "\n").encode()).hexdigest()


def first_line(digest: str) -> str:
    """Returns the first line of a file whose rest has that digest, without its newline."""
    return f'{{"blake3": "{digest}",'


FIRST_LINE_BYTES = len(first_line("0" * 64) + "\n")


def is_unchanged(path: str, digest: str) -> bool:
    """Whether a file that was read is still there, and the same.

    Args:
        path: the file.
        digest: of its content, in hex.

    Raises:
        OSError: it cannot be read.
        UserError: the same, in a store.
    """
    line = first_line(digest) + "\n"
    try:
        return read_first(path, len(line)) == line.encode()
    except FileNotFoundError:
        return False


def read_sealed(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of a file that `sealed` made.

    Raises:
        FileNotFoundError: there is none.
        UserError: it is damaged, or is no such file; it says why.
        OSError: it cannot be read.
    """
    try:
        line, newline, rest = read_text(path).partition("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is damaged: byte {error.start} is not UTF-8") from error
    if line != first_line(blake3(rest.encode()).hexdigest()) or not newline:
        raise UserError(f"{path} is damaged: it does not have the digest in its first line")
    content = parse_json("{" + rest, path)
    assert isinstance(content, dict)
    return content
