"""JSON arrays: `[{…}, {…}]`, each object a row, one of its fields the text.

Told by the content, where `--text_field` is given; without it a `.json` is text. Read element by
element: no more than one is in memory. An array cannot be cut: one process reads it.
"""

import codecs
import dataclasses
import json
from collections.abc import Iterable, Iterator

from pipeline.files import BLOCK_BYTES
from pipeline.text.bad_rows import RowError
from pipeline.text.formats.compressed import blocks_of, read_beginning
from pipeline.text.formats.json_rows import ARRAY, JsonRows, decode_json, json_shape, text_of_row
from pipeline.text.formats.rows import check_row_bytes, documents_of_blocks
from pipeline.text.pieces import (
    MAX_ROW_BYTES,
    Candidate,
    Documents,
    Piece,
    Reading,
    Source,
)

_SPACE = " \t\r\n"
_MOST_ROWS = 1024  # at a time
_EXPONENT = 2  # characters: of 1.5e-3, cut behind the sign, 1.5 is a number too
_LONGEST_WORD = 16  # characters, such as -Infinity or \\ud83d, that may be cut by a block's end


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class JsonArray(JsonRows):
    """Rows in a file with one JSON array."""

    title = "JSON array"

    @classmethod
    def find(cls, candidate: Candidate, reading: Reading) -> Source | None:
        """See `Format.find`."""
        if reading.text_field is None or not candidate.may_begin(b"["):
            return None
        beginning, is_whole = read_beginning(candidate)
        if not candidate.is_json and json_shape(beginning, is_whole=is_whole) != ARRAY:
            return None
        return cls.source(candidate, reading)

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        """See `Format.cut`: at its end alone."""
        return source.length

    def documents(self, piece: Piece) -> Iterator[Documents]:
        """See `Format.documents`."""
        return documents_of_blocks(
            blocks_of(piece),
            lambda blocks: read_json_array(
                blocks, self.text_field, max_row_bytes=self.max_row_bytes
            ),
        )


def read_json_array(
    blocks: Iterable[bytes], text_field: str, *, max_row_bytes: int = MAX_ROW_BYTES
) -> Iterator[Documents]:
    """Yields the text of every element, with its number; bad are those without.

    Args:
        blocks: the file's bytes, cut anywhere.
        text_field: the field that holds the text.
        max_row_bytes: most characters of an element.

    Raises:
        RowError: it is no JSON array, or an element is too long: it is held in memory whole.
    """
    array = _Characters(blocks, max_row_bytes)
    array.expect("[")
    texts: list[bytes] = []
    positions: list[int] = []
    bad: list[RowError] = []
    num_rows = num_bytes = 0
    while array.peek() != "]":
        array.row = num_rows
        if num_rows > 0:
            array.expect(",")
        element = array.element()
        try:
            texts.append(text_of_row(array.row, element, text_field))
            positions.append(array.row)
            num_bytes += len(texts[-1])
        except RowError as error:
            bad.append(error)
        num_rows += 1
        if num_bytes >= BLOCK_BYTES or len(texts) + len(bad) == _MOST_ROWS:
            yield Documents(texts, positions, bad=bad)
            texts, positions, bad, num_bytes = [], [], [], 0
    array.expect("]")
    array.expect("")
    yield Documents(texts, positions, bad=bad)


class _Characters:
    """A text that is read as it is needed.

    Attributes:
        row: the element in hand, for errors.
    """

    def __init__(self, blocks: Iterable[bytes], max_row_bytes: int):
        self._blocks = iter(blocks)
        self._max_row_bytes = max_row_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._num_bytes = 0  # that the decoder has got
        self._bad_byte: int | None = None
        self._text, self._start = "", 0  # what is there, and how much of it is done
        self.row = 0

    def peek(self) -> str:
        """Returns the next character that is no space; nothing at the end."""
        while True:
            rest = self._text[self._start : self._start + 64].lstrip(_SPACE)
            if rest:
                self._start = self._text.index(rest[0], self._start)
                return rest[0]
            self._start = min(self._start + 64, len(self._text))
            if self._start == len(self._text) and not self._more(1):
                return ""

    def expect(self, character: str) -> None:
        """Passes a character, or the end for none."""
        found = self.peek()
        if found != character:
            wanted = repr(character) if character else "the end of the file"
            problem = repr(found) if found else "the file ends"
            raise RowError(self.row, "not valid JSON", f": {wanted} is expected, but {problem}")
        self._start += len(character)

    def element(self) -> object:
        """Passes an element."""
        self.peek()
        while True:
            held = len(self._text) - self._start
            try:
                start = self._start
                value, end = decode_json(self._text, start)
                may_go_on = isinstance(value, int | float) and end >= len(self._text) - _EXPONENT
                if may_go_on and self._more(1):
                    continue
                self._start += end - start  # reading on moves it
                return value
            except json.JSONDecodeError as error:
                # Perhaps it only ends in what was not read yet. That is read in ever larger
                # parts, so that an element is not parsed once a block.
                may_go_on = (
                    error.msg.startswith("Unterminated string")
                    or error.pos >= len(self._text) - _LONGEST_WORD
                )
                if not may_go_on or not self._more(max(1, held)):
                    raise RowError(self.row, "not valid JSON", f": {error.msg}") from error
                check_row_bytes(self.row, held, self._max_row_bytes)
            except RecursionError as error:
                raise RowError(self.row, "not valid JSON", f": {error}") from error

    def _more(self, least: int) -> bool:
        """Reads at least so many characters; whether there were any."""
        texts = [self._text[self._start :]]
        num_read = 0
        while num_read < least:
            block = next(self._blocks, b"")
            if not block and (cut_off := self._decoder.getstate()[0]):
                self._bad_byte = self._num_bytes - len(cut_off)
            if self._bad_byte is not None:
                raise RowError(self.row, "not UTF-8", f" at byte {self._bad_byte} of the file")
            if not block:
                break
            text = self._decoded(block)
            texts.append(text)
            num_read += len(text)
        self._text, self._start = "".join(texts), 0
        return num_read > 0

    def _decoded(self, block: bytes) -> str:
        """Decodes a block; what stands before a byte that is no UTF-8 belongs to other rows."""
        self._num_bytes += len(block)
        try:
            return self._decoder.decode(block)
        except UnicodeDecodeError as error:
            self._bad_byte = self._num_bytes - len(error.object) + error.start
            return error.object[: error.start].decode()
