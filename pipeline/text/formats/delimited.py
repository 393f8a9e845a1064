r"""Documents in plain text: lines, runs of lines between blank ones, or around a separator.

| `--document` | a document | not part of it |
|---|---|---|
| `line` | the bytes before each `\n`, perhaps none | the `\n` |
| `blank_line` | consecutive lines that are not empty | the empty lines (`\n` or `\r\n`) |
| a separator | the bytes before each separator, perhaps none | the separator |

A delimiter at the very end of a file ends the last document; no empty one follows.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.files import read_blocks
from pipeline.text.formats.rows import check_row_bytes, too_long, without_long
from pipeline.text.pieces import BLANK_LINE, LINE, MAX_ROW_BYTES, Documents

_NEWLINE = b"\n"
_BLANK_LINE = re.compile(rb"\n\r?\n")
_BLANK_LINES = re.compile(rb"\n((?:\r?\n)+)")
_LEADING_LINES = re.compile(rb"(?:\r?\n)+")


def split_documents(
    blocks: Iterable[bytes],
    document: str,
    position: int = 0,
    *,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> Iterator[Documents]:
    """Yields every document with the position of its first byte.

    Args:
        blocks: the text, cut anywhere.
        document: `line`, `blank_line` or a separator.
        position: where the blocks start in the source.
        max_row_bytes: most bytes of a document.

    Raises:
        RowError: a document has more.
    """
    if document == BLANK_LINE:
        return _split_at_blank_lines(blocks, position, max_row_bytes)
    return split_at(blocks, _delimiter(document), position, max_row_bytes=max_row_bytes)


def split_at(
    blocks: Iterable[bytes],
    delimiter: bytes,
    position: int = 0,
    *,
    max_row_bytes: int = MAX_ROW_BYTES,
) -> Iterator[Documents]:
    """Yields what stands between delimiters, with its position: what ends in a block at a time.

    Bad is what has more than `max_row_bytes`; that is said as soon as it is known, and not held.
    """
    # Of a text in many blocks, the parts are held apart and joined once: joining at every
    # block would be quadratic. Only as much as may be a delimiter's beginning is searched again.
    held: list[bytes] = []
    held_bytes = 0
    is_bad = False  # what began and did not end yet
    rest = b""
    for block in blocks:
        *texts, rest = (rest + block).split(delimiter)
        if texts:
            if is_bad:
                position += held_bytes + len(texts[0]) + len(delimiter)
                del texts[0]
            else:
                texts[0] = b"".join([*held, texts[0]])
            positions, position = _positions(texts, position, len(delimiter))
            yield without_long(Documents(texts, positions), max_row_bytes)
            held.clear()
            held_bytes, is_bad = 0, False
        unsure = len(rest) - len(delimiter) + 1
        if unsure > 0:
            held_bytes += unsure
            if held_bytes > max_row_bytes and not is_bad:
                is_bad = True
                held.clear()
                yield Documents([], [], bad=[too_long(position, max_row_bytes)])
            if not is_bad:
                held.append(rest[:unsure])
            rest = rest[unsure:]
    last = b"".join([*held, rest])
    if last and not is_bad:
        yield without_long(Documents([last], [position]), max_row_bytes)


def _positions(texts: Sequence[bytes], position: int, between: Any) -> tuple[list[int], int]:
    """Returns where each text begins, and where the next one does.

    Args:
        texts: that follow one another.
        position: of the first.
        between: bytes after each text, before the next: a number, or an array of them.
    """
    sizes = np.fromiter(map(len, texts), np.int64, len(texts)) + between
    *positions, after = itertools.accumulate(sizes.tolist(), initial=position)
    return positions, after


def cut_documents(path: str, source_bytes: int, document: str, offset: int) -> int:
    """Returns where the first document starts whose delimiter lies at `offset` or later.

    Args:
        path: the file.
        source_bytes: its size.
        document: `line`, `blank_line` or a separator.
        offset: a byte of the file.
    """
    start = max(0, offset - look_behind(document))
    blocks = read_blocks(path, start, source_bytes, whole=False)
    found = find_document_start(blocks, document, offset)
    return source_bytes if found is None else found


def find_document_start(blocks: Iterable[bytes], document: str, position: int) -> int | None:
    """Returns where the first document starts whose delimiter lies in the blocks, or None.

    It is a start however the text before `position` reads. That matters for separators that
    may overlap themselves: of `----`, cut anywhere, `--` could be either half or the middle.

    Args:
        blocks: the text from `position - look_behind(document)` on.
        document: `line`, `blank_line` or a separator.
        position: delimiters that start before do not count.
    """
    if document == BLANK_LINE:
        return _find_blank_line(blocks, position)
    delimiter = _delimiter(document)
    overlap = len(delimiter) - 1
    base = max(0, position - overlap)
    previous = -len(delimiter)
    text = b""
    for block in blocks:
        text += block
        found = text.find(delimiter)
        while found >= 0:
            start = base + found
            if start >= position and start - previous > overlap:
                return start + len(delimiter)
            previous = start
            found = text.find(delimiter, found + 1)
        keep = min(overlap, len(text))
        base += len(text) - keep
        text = text[len(text) - keep :]
    return None


def look_behind(document: str) -> int:
    """The bytes before a position that `find_document_start` must see."""
    return 0 if document == BLANK_LINE else len(_delimiter(document)) - 1


def _find_blank_line(blocks: Iterable[bytes], position: int) -> int | None:
    text = b""
    for block in blocks:
        text += block
        if found := _BLANK_LINE.search(text):
            return position + found.end()
        position += len(text) - min(2, len(text))
        text = text[-2:]
    return None


def _delimiter(document: str) -> bytes:
    return _NEWLINE if document == LINE else document.encode("utf-8", "surrogateescape")


def _split_at_blank_lines(
    blocks: Iterable[bytes], position: int, max_row_bytes: int
) -> Iterator[Documents]:
    held: list[bytes] = []  # joined once, where a blank line comes: see `split_at`
    held_bytes = 0
    last = b""  # bytes, among which a blank line may begin
    for block in blocks:
        held.append(block)
        held_bytes += len(block)
        last += block
        if _BLANK_LINE.search(last):
            # Runs of lines, and of blank ones after each but the last run.
            *runs, rest = _BLANK_LINES.split(b"".join(held))
            texts = [text + _NEWLINE for text in runs[::2]]
            positions, position = _positions(texts, position, np.array(list(map(len, runs[1::2]))))
            yield from _without_leading_lines(Documents(texts, positions), max_row_bytes)
            held, held_bytes, last = [rest], len(rest), rest
        check_row_bytes(position, held_bytes, max_row_bytes)
        last = last[-2:]
    yield from _without_leading_lines(Documents([b"".join(held)], [position]), max_row_bytes)


def _without_leading_lines(documents: Documents, max_row_bytes: int) -> Iterator[Documents]:
    """Passes over blank lines at the beginning of the first text."""
    (first, *texts), (position, *positions) = documents.texts, documents.positions
    leading = _LEADING_LINES.match(first)
    if leading:
        first = first[leading.end() :]
        position += leading.end()
    if first:
        texts.insert(0, first)
        positions.insert(0, position)
    if texts:
        yield without_long(Documents(texts, positions), max_row_bytes)
