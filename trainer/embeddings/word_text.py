"""Text of word vectors: word2vec's, or GloVe's.

That of word2vec (and of fastText's `.vec`) begins with a line `COUNT DIM`; that of GloVe begins at
once. Then comes a word and its `DIM` numbers a line, between single spaces. A word may be a space
itself, or have some: the last `DIM` fields of a line are its numbers.
"""

import codecs
import itertools
import re
from collections.abc import Iterator

import numpy as np

from pipeline.errors import UserError
from pipeline.files import file_status, read_blocks
from pipeline.sizes import count_text
from pipeline.text.formats.compressed import compression_of, read_compressed

LINE_BYTES = 2**20  # no text of vectors has longer lines
FLOAT32_TEXT = "of at most 3.4e38 (float32)"  # what can be given
_HEADER = re.compile(rb"(\d+)[ \t]+(\d+)\s*")
_MAX_DIGITS = 18  # of a count
_PEEKED = 100  # lines that tell how many numbers one has
_MAX_SHOWN = 40  # bytes of a file that a message shows


class WordText:
    """A text of vectors, read once, from start to end.

    Attributes:
        dim: numbers of a line, by the header or the first lines.
        first_words: up to three of those read so far.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._num_words: int | None = None
        self.first_words: list[str] = []
        lines = enumerate(_lines_of(path), start=1)
        number, first = next(lines, (1, b""))
        first = first.removeprefix(codecs.BOM_UTF8)
        following = list(itertools.islice(lines, _PEEKED))
        counts = [_most_numbers(line.rstrip(b" \r")) for _, line in following if line.strip()]
        if self._is_header(number, first, _most_common(counts)):
            self._num_words, self.dim = map(int, first.split())
            self._lines = itertools.chain(following, lines)
        else:
            # Words may have spaces, and be numbers: the dimension is that of most lines.
            self.dim = _most_common([_most_numbers(first.rstrip(b" \r")), *counts])
            self._lines = itertools.chain([(number, first)], following, lines)
        if self.dim < 1:
            raise self._error(number, "must be a word and its numbers, or their counts", first)

    def _is_header(self, number: int, line: bytes, dim: int) -> bool:
        """Whether a first line has the counts; `dim` is what those after it seem to have."""
        match = _HEADER.fullmatch(line)
        if match is None or (dim == 1 and int(match[2][:2]) != 1):
            return False
        # A line has no more numbers than a space and a digit for each.
        if max(map(len, match.groups())) > _MAX_DIGITS or int(match[2]) > LINE_BYTES // 2:
            raise self._error(number, "must have the counts of words and of numbers", line)
        return True

    def lines(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yields the number of every line, its word, and its numbers as text.

        Raises:
            UserError: a line breaks the format, or there are not as many as the header says.
        """
        num_words = 0
        for number, line in self._lines:
            line = line.rstrip(b" \r")  # word2vec's own tool writes a space after every number
            if not line:
                continue
            if not line.isascii():
                self._check_utf8(number, line)
            word, _, numbers = line.partition(b" ")
            if numbers.count(b" ") + 1 != self.dim:
                word, numbers = self._split_with_spaces(number, line)
            if num_words < 3:
                self.first_words.append(shown(word))
            num_words += 1
            yield number, word, numbers
        if self._num_words not in (None, num_words):
            raise UserError(
                f"{self._path}: its first line announces {count_text(self._num_words, 'word')}, "
                f"and it has {num_words}; it is cut off or was changed: get it again, or correct "
                "the line"
            )

    def parse(self, number: int, numbers: bytes) -> np.ndarray:
        """Returns the numbers of a line, `[dim]` float32.

        Raises:
            UserError: one is none, or is not finite.
        """
        try:
            numbers_of_line = [float(text) for text in numbers.split(b" ")]
        except ValueError as error:
            raise self._error(number, "must have numbers after its word", numbers) from error
        with np.errstate(over="ignore"):  # what is too large for float32 becomes inf
            values = np.array(numbers_of_line).astype(np.float32)
        if not np.isfinite(values).all():
            raise self._error(number, f"must have finite numbers, {FLOAT32_TEXT}", numbers)
        return values

    def _split_with_spaces(self, number: int, line: bytes) -> tuple[bytes, bytes]:
        """Of a line whose word has spaces in it, as some of GloVe's have (`. . .`)."""
        word, *fields = line.rsplit(b" ", self.dim)
        if len(fields) < self.dim or _is_number(word.rpartition(b" ")[2]):
            raise self._error(number, f"must have {self.dim} numbers, got {line.count(b' ')}", line)
        return word, b" ".join(fields)

    def _check_utf8(self, number: int, line: bytes) -> None:
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise self._error(
                number, f"must be UTF-8 ({error.reason} at its byte {error.start})", line
            ) from error

    def _error(self, number: int, rule: str, line: bytes) -> UserError:
        return UserError(
            f"{self._path}, line {number} {rule}: {shown(line)!r}; "
            "correct or remove the line, or give the text format of word2vec or GloVe"
        )


def blocks_of_words(path: str) -> Iterator[bytes]:
    """Yields the blocks of a file of vectors, without its compression."""
    if suffix := compression_of(path):
        return (block for block, _ in read_compressed(path, suffix))
    return read_blocks(path, 0, file_status(path).num_bytes)


def shown(text: bytes) -> str:
    """The beginning of a text, as a message shows it."""
    start = text[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return start + "..." * (len(text) > _MAX_SHOWN)


def _most_numbers(line: bytes) -> int:
    """How many numbers a line can end in, so that a word is left before them."""
    fields = line.split(b" ")
    most = len(fields) - (2 if line.startswith(b" ") else 1)
    numbers = itertools.takewhile(_is_number, reversed(fields))
    return sum(1 for _ in itertools.islice(numbers, max(most, 0)))


def _most_common(counts: list[int]) -> int:
    """The first of the most frequent; 0 without any."""
    return max(counts, key=counts.count, default=0)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines_of(path: str) -> Iterator[bytes]:
    """Yields the lines of a file, without their newlines."""
    held = b""
    for block in blocks_of_words(path):
        *lines, held = (held + block).split(b"\n")
        if len(held) > LINE_BYTES:
            raise UserError(
                f"`pretrained_embeddings` {path} is no text of vectors: it has a line of over "
                f"{LINE_BYTES} bytes; give the text format of word2vec or GloVe"
            )
        yield from lines
    if held:
        yield held
