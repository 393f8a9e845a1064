"""Signatures of passages: a shard -> MinHash signatures by which passages can be compared.

A passage is a document, or a part of a long one. The parts end where the words say so, not after so
many words, so that what was inserted before a passage moves no end of it. Its shingles are three
words on end; in scripts without spaces between words, three characters.
"""

import dataclasses
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import UserError
from pipeline.layout.records import read_records
from pipeline.preparing.engines import Advance
from pipeline.vocabulary.base import Vocabulary

NUM_VALUES = 128  # of a signature
_MIN_WORDS, _MAX_WORDS = 512, 4096  # of a part of a document; a shorter document is a passage
_END_EVERY = 512  # of so many words, one may end a passage
_LEAST_WORDS = 8  # of a passage: fewer are alike by chance
_TEXT_TOKENS = 2**18  # of a document, in memory at once
_FLUSH_SHINGLES = 2**16
_SEED = 0

# Thai and Lao, the Japanese syllabaries, Chinese characters.
_ALONE = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignTask:
    """A shard to sign.

    Attributes:
        path: its file.
        vocabulary: of the corpus.
        disk_bytes: its size.
    """

    path: str
    vocabulary: Vocabulary
    disk_bytes: int


class Signatures(NamedTuple):
    """The passages of a shard.

    Attributes:
        values: `[n, NUM_VALUES]` uint32: the part of equal values of two estimates their Jaccard
            index.
        places: `[n, 3]` int64: the token of the shard with which a text begins, the passage's
            first byte in that text, and its bytes.
    """

    values: np.ndarray
    places: np.ndarray


def check_installed() -> None:
    """Finds out at once whether this machine can make signatures.

    Raises:
        UserError: a package is missing.
    """
    _rensa()


def sign_shard(task: SignTask, advance: Advance) -> Signatures:
    """Signs the passages of a shard.

    Raises:
        UserError: a record is damaged.
        OSError: the file cannot be read.
    """
    values = [np.empty((0, NUM_VALUES), np.uint32)]
    places: list[tuple[int, int, int]] = []
    held: list[np.ndarray] = []
    for first_token, text in _texts(task):
        for start, stop, shingles in _passages(text):
            places.append((first_token, start, stop - start))
            held.append(shingles)
        if sum(map(len, held)) > _FLUSH_SHINGLES:
            values.append(_signatures(held))
            held = []
    values.append(_signatures(held))
    advance(task.disk_bytes)
    return Signatures(np.concatenate(values), np.array(places, np.int64).reshape(-1, 3))


def _texts(task: SignTask) -> Iterator[tuple[int, bytes]]:
    """Yields the documents of a shard, or blocks of large ones, with their first token."""
    vocabulary, held, first, position = task.vocabulary, [], 0, 0
    for payload in read_records(task.path):
        tokens = np.frombuffer(payload, vocabulary.dtype)
        ends = np.flatnonzero(tokens == vocabulary.separator_id)
        for start, stop in itertools.pairwise([0, *(ends + 1), len(tokens)]):
            is_end = (
                stop <= len(tokens)
                and start < stop
                and tokens[stop - 1] == (vocabulary.separator_id)
            )
            held.append(tokens[start : stop - is_end])
            if is_end or position + stop - first >= _TEXT_TOKENS:
                yield first, vocabulary.decode_bytes(np.concatenate(held))
                held, first = [], position + int(stop)
        position += len(tokens)
    if held:
        yield first, vocabulary.decode_bytes(np.concatenate(held))


def _passages(data: bytes) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yields the passages of a text: the first byte, the byte after the last, the shingles."""
    text = data.decode("utf-8", "replace")
    matches = [match.span() for match in _WORD.finditer(text)]
    if len(matches) < _LEAST_WORDS:
        return
    (hashes,) = _rensa().hash_token_sets([[text[start:stop] for start, stop in matches]])
    words = np.array(hashes, np.uint64)
    shingles = _mixed(_mixed(_mixed(words[:-2]) + words[1:-1]) + words[2:])
    may_end = np.flatnonzero(shingles % np.uint64(_END_EVERY) == 0)
    first = 0
    while first < len(shingles):
        index = np.searchsorted(may_end, first + _MIN_WORDS)
        last = min(
            int(may_end[index]) if index < len(may_end) else len(shingles),
            first + _MAX_WORDS,
            len(shingles),
        )
        if last - first + 2 < _LEAST_WORDS and first:
            return
        start, stop = (
            len(text[:place].encode()) for place in (matches[first][0], matches[last + 1][1])
        )
        yield start, stop, shingles[first:last]
        first = last


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mixes 64-bit integers, one by one (the finalizer of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _signatures(shingles: list[np.ndarray]) -> np.ndarray:
    if not shingles:
        return np.empty((0, NUM_VALUES), np.uint32)
    offsets = np.cumsum([0, *map(len, shingles)]).astype(np.uint64)
    matrix = _rensa().digest_matrix_from_flat_token_hashes(
        np.concatenate(shingles), offsets, NUM_VALUES, _SEED
    )
    return np.array(matrix.to_rows(), np.uint32)


def _rensa() -> Any:
    try:
        from rensa import RMinHash
    except ImportError as error:
        raise UserError(
            "finding near-duplicates needs a package: pip install 'textreel[duplicates]'"
        ) from error
    return RMinHash
