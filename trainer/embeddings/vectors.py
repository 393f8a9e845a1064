"""Vectors of a vocabulary's symbols, from a file: word2vec's or GloVe's text, or `.npy`.

The text of word2vec (and of fastText's `.vec`) begins with a line `COUNT DIM`; that of GloVe
begins at once. Then comes a word and its `DIM` numbers a line, between single spaces. The
file may be compressed. It is read in blocks, and only the vectors of symbols are kept: memory
does not depend on its size. Numbers of other words are counted, not read.

A `.npy` array is `[vocabulary size, dim]`, its rows in the order of the ids.
"""

import dataclasses
import io
import itertools
from collections.abc import Iterator

import numpy as np

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import file_status, open_file, read_blocks
from pipeline.sizes import count_text
from pipeline.text.formats.compressed import compression_of, read_compressed
from pipeline.vocabulary.base import Vocabulary

_LINE_BYTES = 2**20  # no text of vectors has longer lines
_SEPARATOR_WORDS = ("</s>", "<|endoftext|>")  # word2vec's end of a sentence, GPT-2's of a text
_SPACES = str.maketrans({" ": "Ġ", "\n": "Ċ", "\t": "ĉ"})  # as GPT-2's vocabulary writes them
_MAX_DIGITS = 18  # of a count
_HEADER_BYTES = 2**16  # of a .npy; NumPy reads headers of up to 10,000
_MAX_SHOWN = 40  # bytes of a file that a message shows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vectors:
    """The vectors that a file has for a vocabulary.

    Attributes:
        path: the file.
        ids: of the symbols found in it, `[found]` int64, ascending.
        values: their vectors, `[found, dim]` float32, finite.
        num_ids: ids of the vocabulary.
    """

    path: str
    ids: np.ndarray
    values: np.ndarray
    num_ids: int

    @property
    def dim(self) -> int:
        """Numbers of a vector."""
        return self.values.shape[1]


def read_vectors(path: str, vocabulary: Vocabulary, *, dim: int | None = None) -> Vectors:
    """Reads the vectors of a vocabulary's symbols.

    Args:
        path: the file, or its URI: text, also `.gz .bz2 .xz .zst`, or `.npy`.
        vocabulary: symbols <-> ids.
        dim: size that a vector must have; None for whatever the file has.

    Raises:
        UserError: the file cannot be read, breaks its format, is cut off, or has no vector
            for any symbol. The message names the line.
        OptionError: its vectors have another size than `dim`.
    """
    if path.endswith((".bin", ".zip")):
        raise UserError(
            f"`pretrained_embeddings` {path}: neither .zip nor word2vec's binary format (.bin) is "
            "read; unpack a .zip, and save a .bin as text (gensim: "
            "`vectors.save_word2vec_format(FILE, binary=False)`)"
        )
    if file_status(path).is_directory:
        raise UserError(f"`pretrained_embeddings` {path} is a directory; give a file of vectors")
    if path.endswith(".npy"):
        return _read_array(path, vocabulary.size, dim)
    return _read_text(path, vocabulary, dim)


def words_of(vocabulary: Vocabulary, token: int) -> list[str]:
    """The words under which a file may have the vector of an id, the best one first.

    The symbol's own text. Where that has spaces, as GPT-2 writes it (`Ġthe` for ` the`), then
    as SentencePiece does (`▁the`), then without its leading space, as files of words have it.
    The separator as `</s>` or `<|endoftext|>`. A part of a character, such as a byte above
    127, stands for nothing alone and has no word.
    """
    if token == vocabulary.separator_id:
        return list(_SEPARATOR_WORDS)
    try:
        text = vocabulary.decode_bytes([token]).decode()
    except UnicodeDecodeError:
        return []
    spelled = text.translate(_SPACES)
    if spelled == text:
        return [text] if text else []
    words = [spelled]
    if text.startswith(" "):
        words.append("▁" + spelled[1:])
        if spelled[1:] == text[1:] != "":
            words.append(text[1:])
    return words


def _read_text(path: str, vocabulary: Vocabulary, dim: int | None) -> Vectors:
    wanted: dict[bytes, list[tuple[int, int]]] = {}  # word -> (id, rank of the word for it)
    for token in range(vocabulary.size):
        for rank, name in enumerate(words_of(vocabulary, token)):
            wanted.setdefault(name.encode(), []).append((token, rank))
    text = _Text(path)
    _check_dim(path, text.dim, dim)
    found: dict[int, tuple[int, np.ndarray]] = {}  # id -> (rank of its word, vector)
    for number, word, numbers in text.lines():
        for token, rank in wanted.get(word, ()):
            # Of a word that comes twice the first line counts.
            if token not in found or rank < found[token][0]:
                found[token] = rank, text.parse(number, numbers)
    if not found:
        symbols = itertools.islice(map(bytes.decode, wanted), 3)
        raise UserError(
            f"`pretrained_embeddings` {path} has no vector for any symbol of the vocabulary, "
            f"such as {', '.join(map(repr, symbols))}; its first words are "
            f"{', '.join(map(repr, text.first_words))}. Give vectors of the vocabulary's "
            f"kind of symbols ({vocabulary.kind})"
        )
    ids = sorted(found)
    values = np.stack([found[token][1] for token in ids])
    return Vectors(path=path, ids=np.array(ids), values=values, num_ids=vocabulary.size)


class _Text:
    """A text of vectors, read once, from start to end.

    Attributes:
        dim: numbers of a line, by the header or the first line.
        first_words: up to three of those read so far.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: Iterator[tuple[int, bytes]] = enumerate(_lines(path), start=1)
        self._num_words: int | None = None
        self.first_words: list[str] = []
        number, line = next(self._lines, (1, b""))
        fields = line.split()
        if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
            # A line has no more numbers than a space and a digit for each.
            if max(map(len, fields)) > _MAX_DIGITS or int(fields[1]) > _LINE_BYTES // 2:
                raise self._error(number, "must have the counts of words and of numbers", line)
            self._num_words, self.dim = map(int, fields)
        else:
            self.dim = len(fields) - 1
            self._lines = itertools.chain([(number, line)], self._lines)
        if self.dim < 1:
            raise self._error(number, "must be a word and its numbers, or their counts", line)

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
                self.first_words.append(_shown(word))
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
            raise self._error(number, "must have finite numbers", numbers)
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
            f"{self._path}, line {number} {rule}: {_shown(line)!r}; "
            "correct or remove the line, or give the text format of word2vec or GloVe"
        )


def _shown(text: bytes) -> str:
    """The beginning of a text, as a message shows it."""
    start = text[:_MAX_SHOWN].decode("utf-8", "backslashreplace")
    return start + "..." * (len(text) > _MAX_SHOWN)


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: str) -> Iterator[bytes]:
    """Yields the lines of a file, without their newlines."""
    blocks: Iterator[bytes]
    if suffix := compression_of(path):
        blocks = (block for block, _ in read_compressed(path, suffix))
    else:
        blocks = read_blocks(path, 0, file_status(path).num_bytes)
    held = b""
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        if len(held) > _LINE_BYTES:
            raise UserError(
                f"`pretrained_embeddings` {path} is no text of vectors: it has a line of over "
                f"{_LINE_BYTES} bytes; give the text format of word2vec or GloVe"
            )
        yield from lines
    if held:
        yield held


def _read_array(path: str, num_ids: int, dim: int | None) -> Vectors:
    """Reads a `.npy`; its shape is checked before its content is read."""
    with open_file(path) as file:
        shape, dtype, num_bytes = _array_header(path, file.read(_HEADER_BYTES))
        if len(shape) != 2 or shape[0] != num_ids or not shape[1] or dtype.kind not in "fiu":
            given = _shown(f"{list(shape)} {dtype}".encode())
            raise UserError(
                f"`pretrained_embeddings` {path} must hold numbers of the shape [vocabulary "
                f"size, dim], here [{num_ids}, dim], got {given}; give a row an id, "
                "in their order"
            )
        _check_dim(path, shape[1], dim)
        num_bytes += shape[0] * shape[1] * dtype.itemsize
        if num_bytes > file_status(path).num_bytes:  # before memory is taken for what it claims
            raise _no_array(path, "it is cut off")
        file.seek(0)
        with np.errstate(over="ignore"):  # what is too large for float32 becomes inf
            values = np.load(file, allow_pickle=False).astype(np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise UserError(
            f"`pretrained_embeddings` {path}: row {int(np.argmin(finite))} has a number that is "
            "not finite; give finite ones"
        )
    return Vectors(path=path, ids=np.arange(num_ids), values=values, num_ids=num_ids)


def _array_header(path: str, data: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Returns the shape and the type of a `.npy` that begins so, and the bytes of its header."""
    file = io.BytesIO(data)
    try:
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[np.lib.format.read_magic(file)]
        shape, _, dtype = read_header(file)
        if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
            raise ValueError("it has no shape")
    except Exception as error:  # of Python's parser, tokenizer and `int` as well
        raise _no_array(path, _shown(first_line(error).encode())) from error
    return shape, dtype, file.tell()


def _no_array(path: str, reason: str) -> UserError:
    return UserError(
        f"`pretrained_embeddings` {path} is no .npy array ({reason}); write it with `numpy.save`"
    )


def _check_dim(path: str, found: int, expected: int | None) -> None:
    if expected not in (None, found):
        raise OptionError(
            f"`pretrained_embeddings` must have vectors of `embedding_dim` ({expected}) numbers, "
            f"those of {path} have {found}; leave --embedding_dim out (a Transformer: set "
            "--units), or give another file"
        )
