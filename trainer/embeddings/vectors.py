"""Vectors of a vocabulary's symbols, from a file: word2vec's, GloVe's, or `.npy`.

Files of words may be compressed: see `trainer.embeddings.word_text` and
`trainer.embeddings.word_binary`. They are read in blocks, and only the vectors of symbols are kept:
memory does not depend on a file's size. Numbers of other words are counted, not read.

A `.npy` array is `[vocabulary size, dim]`, its rows in the order of the ids.
"""

import dataclasses
import io
import itertools

import numpy as np

from pipeline.errors import OptionError, UserError, first_line
from pipeline.files import file_status, open_file
from pipeline.text.formats.compressed import split_suffix
from pipeline.vocabulary.base import Vocabulary
from trainer.embeddings.word_binary import WordBinary
from trainer.embeddings.word_text import WordText, shown

_SEPARATOR_WORDS = ("</s>", "<|endoftext|>")  # word2vec's end of a sentence, GPT-2's of a text
_SPACES = str.maketrans({" ": "Ġ", "\n": "Ċ", "\t": "ĉ"})  # as GPT-2's vocabulary writes them
_HEADER_BYTES = 2**16  # of a .npy; NumPy reads headers of up to 10,000


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
        path: the file, or its URI: text or word2vec's `.bin`, also `.gz .bz2 .xz .zst`; or `.npy`.
        vocabulary: symbols <-> ids.
        dim: size that a vector must have; None for whatever the file has.

    Raises:
        UserError: the file cannot be read, breaks its format, is cut off, or has no vector
            for any symbol. The message names the line.
        OptionError: its vectors have another size than `dim`.
    """
    if path.endswith(".zip"):
        raise UserError(f"`pretrained_embeddings` {path}: a .zip is not read; unpack it")
    if file_status(path).is_directory:
        raise UserError(f"`pretrained_embeddings` {path} is a directory; give a file of vectors")
    if path.endswith(".npy"):
        return _read_array(path, vocabulary.size, dim)
    is_binary = split_suffix(path)[0].endswith(".bin")
    return _read_words(WordBinary(path) if is_binary else WordText(path), path, vocabulary, dim)


def words_of(vocabulary: Vocabulary, token: int) -> list[str]:
    """The words under which a file may have the vector of an id, the best one first.

    The symbol's own text. Where that has spaces, then as GPT-2 writes it (`Ġthe` for ` the`), then
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
    words = [text, spelled]
    if text.startswith(" "):
        words.append("▁" + spelled[1:])
        if spelled[1:] == text[1:] != "":
            words.append(text[1:])
    return words


def _read_words(
    words: WordText | WordBinary, path: str, vocabulary: Vocabulary, dim: int | None
) -> Vectors:
    wanted: dict[bytes, list[tuple[int, int]]] = {}  # word -> (id, rank of the word for it)
    for token in range(vocabulary.size):
        for rank, name in enumerate(words_of(vocabulary, token)):
            wanted.setdefault(name.encode(), []).append((token, rank))
    _check_dim(path, words.dim, dim)
    found: dict[int, tuple[int, np.ndarray]] = {}  # id -> (rank of its word, vector)
    for number, word, numbers in words.lines():
        for token, rank in wanted.get(word, ()):
            # Of a word that comes twice the first line counts.
            if token not in found or rank < found[token][0]:
                found[token] = rank, words.parse(number, numbers)
    if not found:
        symbols = itertools.islice(map(bytes.decode, wanted), 3)
        raise UserError(
            f"`pretrained_embeddings` {path} has no vector for any symbol of the vocabulary, "
            f"such as {', '.join(map(repr, symbols))}; its first words are "
            f"{', '.join(map(repr, words.first_words))}. Give vectors of the vocabulary's "
            f"kind of symbols ({vocabulary.kind})"
        )
    ids = sorted(found)
    values = np.stack([found[token][1] for token in ids])
    return Vectors(path=path, ids=np.array(ids), values=values, num_ids=vocabulary.size)


def _read_array(path: str, num_ids: int, dim: int | None) -> Vectors:
    """Reads a `.npy`; its shape is checked before its content is read."""
    with open_file(path) as file:
        shape, dtype, num_bytes = _array_header(path, file.read(_HEADER_BYTES))
        if len(shape) != 2 or shape[0] != num_ids or not shape[1] or dtype.kind not in "fiu":
            given = shown(f"{list(shape)} {dtype}".encode())
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
            "not finite in float32; give finite ones"
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
        raise _no_array(path, shown(first_line(error).encode())) from error
    return shape, dtype, file.tell()


def _no_array(path: str, reason: str) -> UserError:
    return UserError(
        f"`pretrained_embeddings` {path} is no .npy array ({reason}); write it with `numpy.save`"
    )


def _check_dim(path: str, found: int, expected: int | None) -> None:
    if expected not in (None, found):
        raise OptionError(
            f"`pretrained_embeddings` must have vectors of `embedding_dim` ({expected}) numbers, "
            f"those of {path} have {found}; leave --embedding_dim out (set "
            "--units, where they have one size with --tied, of a MinGRU or of a Transformer), or "
            "give another file"
        )
