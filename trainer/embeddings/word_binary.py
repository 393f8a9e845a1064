"""Binary file of word vectors, as word2vec and gensim write it (`.bin`).

It begins with a line `COUNT DIM`. Then comes, for every word: its bytes, a space, and its `DIM`
numbers as little-endian float32; word2vec's own tool ends each with a newline, gensim does not.
"""

import re
from collections.abc import Iterator

import numpy as np

from pipeline.errors import UserError
from trainer.embeddings.word_text import FLOAT32_TEXT, LINE_BYTES, blocks_of_words, shown

_HEADER = re.compile(rb"(\d{1,18}) (\d{1,6}) ?\r?\n")
_HEADER_BYTES = 64
_WORD_BYTES = 2**16  # no word is longer
_FASTTEXT = (793_712_314).to_bytes(4, "little")  # the first bytes of fastText's models


class WordBinary:
    """A binary file of vectors, read once, from start to end.

    Attributes:
        dim: numbers of a word, by the header.
        first_words: up to three of those read so far.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._blocks = blocks_of_words(path)
        self._held = b""
        self._start = 0  # in what is held
        self.first_words: list[str] = []
        self._fill(_HEADER_BYTES)
        header = _HEADER.match(self._held)
        if header is None or not 0 < int(header[2]) <= LINE_BYTES // 4:
            kind = "a model of fastText" if self._held.startswith(_FASTTEXT) else "something else"
            raise UserError(
                f"{path} must begin with a line of two counts, of words and of numbers, as "
                f"word2vec's binary format does, got {shown(self._held[:_HEADER_BYTES])!r}: it is "
                f"{kind}; save its vectors as text (fastText: its .vec)"
            )
        self._num_words, self.dim = int(header[1]), int(header[2])
        self._start = header.end()

    def lines(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Yields the number of every word, from 1, the word, and the bytes of its numbers.

        Raises:
            UserError: it is cut off, or has more words than the header says.
        """
        for number in range(1, self._num_words + 1):
            word = self._word(number)
            if len(self.first_words) < 3:
                self.first_words.append(shown(word))
            yield number, word, self._take(4 * self.dim, number)
        self._fill(1 + len(b"\n"))
        if self._held[self._start :].strip(b"\n"):
            raise UserError(
                f"{self._path}: its first line announces {self._num_words} words, and more follows "
                f"them at word {self._num_words + 1}; it was changed: get it again"
            )

    def parse(self, number: int, numbers: bytes) -> np.ndarray:
        """Returns the numbers of a word, `[dim]` float32.

        Raises:
            UserError: one is not finite.
        """
        values = np.frombuffer(numbers, "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise UserError(
                f"{self._path}, word {number} must have finite numbers, {FLOAT32_TEXT}; "
                "give another file"
            )
        return values

    def _word(self, number: int) -> bytes:
        self._fill(1)
        if self._held[self._start : self._start + 1] == b"\n":
            self._start += 1
        end, looked = -1, 0
        while end < 0:
            end = self._held.find(b" ", self._start + looked)
            looked = len(self._held) - self._start
            if end < 0 and (looked > _WORD_BYTES or not self._fill(looked + 1)):
                raise self._cut_off(number)
        word = self._held[self._start : end]
        self._start = end + 1
        if not word:
            raise UserError(
                f"{self._path}, word {number} must not be empty or begin with a space, which "
                "ends a word in this format; save the vectors as text"
            )
        return word

    def _take(self, num_bytes: int, number: int) -> bytes:
        if not self._fill(num_bytes):
            raise self._cut_off(number)
        taken = self._held[self._start : self._start + num_bytes]
        self._start += num_bytes
        return taken

    def _fill(self, num_bytes: int) -> bool:
        """Reads on until so many bytes are held; returns whether there are."""
        while len(self._held) - self._start < num_bytes:
            block = next(self._blocks, b"")
            if not block:
                return False
            self._held = self._held[self._start :] + block
            self._start = 0
        return True

    def _cut_off(self, number: int) -> UserError:
        return UserError(
            f"{self._path} ends, or is damaged, at word {number} of the {self._num_words} that its "
            "first line announces; get it again"
        )
