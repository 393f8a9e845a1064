"""Bytes and characters as vocabularies.

| kind | symbols | ids |
|---|---|---|
| `byte` | the 256 bytes | the byte's value |
| `char` | the characters of the sources | 0 is the separator, then by code point |

The separator is U+0000, which text does not contain: a source that does contain it keeps it
(every text comes back exactly), but looks like several documents to whoever looks for boundaries.
"""

import codecs
import functools
import json
from typing import Any

import numpy as np

from pipeline.errors import UserError
from pipeline.vocabulary.base import Encoder, Vocabulary

NUM_CODE_POINTS = 0x110000
REPLACEMENT = 0xFFFD


class ByteVocabulary(Vocabulary):
    """256 ids, the bytes themselves. Takes any input and loses nothing."""

    kind = "byte"
    size = 256

    def to_json(self) -> str:
        """See `Vocabulary.to_json`."""
        return _json({"kind": self.kind})

    def encoder(self) -> Encoder:
        """See `Vocabulary.encoder`."""
        return _ByteEncoder()

    def decode_bytes(self, ids: Any) -> bytes:
        """See `Vocabulary.decode_bytes`."""
        return np.asarray(ids).astype(np.uint8).tobytes()


class CharVocabulary(Vocabulary):
    """One id a Unicode character, in the order of the code points; the separator first.

    Args:
        code_points: the characters' code points, in any order, `[n]` integers.
        unknown: what to do with other characters: an `error`, or to `replace` them by U+FFFD.
            It is no part of the vocabulary's file.
    """

    kind = "char"

    def __init__(self, code_points: Any, *, unknown: str = "error"):
        self.unknown = unknown
        points = np.union1d([0], np.asarray(code_points, np.uint32))
        self._code_points = points.astype("<u4")
        self.size = len(points)

    @property
    def characters(self) -> str:
        """The characters in the order of their ids, the separator first."""
        return _text_of(self._code_points)

    def with_unknown(self, unknown: str) -> "CharVocabulary":
        """Returns the vocabulary with another `unknown`.

        Raises:
            UserError: it lacks U+FFFD.
        """
        if unknown == "replace" and REPLACEMENT not in self._code_points:
            raise UserError(
                "`unknown` replace needs U+FFFD in the vocabulary, and it is not there: prepare "
                "the corpus that the vocabulary is from with `--min_count 2`"
            )
        return CharVocabulary(self._code_points, unknown=unknown)

    def tolerant(self) -> "CharVocabulary":
        """See `Vocabulary.tolerant`."""
        return self.with_unknown("replace") if REPLACEMENT in self._code_points else self

    @functools.cached_property
    def ids_of_code_points(self) -> np.ndarray:
        """`[0x110000]`: the id of every code point, `size` where there is none.

        A narrow table stays in the cache, and mostly has the type of the ids, which are then not
        copied.
        """
        table = np.full(NUM_CODE_POINTS, self.size, np.min_scalar_type(self.size))
        table[self._code_points] = np.arange(self.size)
        if self.unknown == "replace":
            table[table == self.size] = table[REPLACEMENT]
        return table

    def to_json(self) -> str:
        """See `Vocabulary.to_json`."""
        return _json({"kind": self.kind, "characters": self.characters})

    def encoder(self) -> Encoder:
        """See `Vocabulary.encoder`."""
        return _CharEncoder(self)

    def decode_bytes(self, ids: Any) -> bytes:
        """See `Vocabulary.decode_bytes`."""
        return self.decode(ids).encode("utf-8", "surrogatepass")

    def decode(self, ids: Any) -> str:
        """See `Vocabulary.decode`."""
        return _text_of(self._code_points[np.asarray(ids, np.int64)])

    def __getstate__(self) -> dict[str, Any]:
        # The derived tables are cheap to build and large to send to a worker.
        return {"_code_points": self._code_points, "size": self.size, "unknown": self.unknown}


class CodePoints:
    """Incremental UTF-8 -> code points, with errors that count from the stream's start."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._num_bytes = 0  # given to the decoder so far

    def decode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        """Returns `[n]` code points, as uint8 of ASCII, else the narrower of uint16 and uint32."""
        held_back = len(self._decoder.getstate()[0])
        if held_back == 0 and block.isascii():
            self._num_bytes += len(block)
            return np.frombuffer(block, np.uint8)
        try:
            text = self._decoder.decode(block, final)
        except UnicodeDecodeError as error:
            start = self._num_bytes - held_back
            error.start, error.end = error.start + start, error.end + start
            raise
        self._num_bytes += len(block)
        units = text.encode("utf-16-le")
        if len(units) == 2 * len(text):  # no pairs of surrogates: half the memory of UTF-32
            return np.frombuffer(units, "<u2")
        return np.frombuffer(text.encode("utf-32-le"), "<u4")


class _ByteEncoder:
    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        del final  # a byte never waits for the next one
        return np.frombuffer(block, np.uint8)


class _CharEncoder:
    def __init__(self, vocabulary: CharVocabulary):
        self._dtype = vocabulary.dtype
        self._code_points = CodePoints()
        self._missing = vocabulary.size
        self._ids = vocabulary.ids_of_code_points
        # `bytes.translate` is several times faster than a gather.
        self._ascii_table = self._ids[:256].tobytes() if self._ids.itemsize == 1 else None

    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        code_points = self._code_points.decode(block, final=final)
        if self._ascii_table and code_points.dtype == np.uint8:
            translated = block.translate(self._ascii_table)
            if self._missing not in translated:
                return np.frombuffer(translated, np.uint8)
        ids = self._ids.take(code_points, mode="clip")  # no code point is outside: it checks none
        if len(ids) and ids.max() == self._missing:
            missing = np.unique(code_points[ids == self._missing])
            shown = ", ".join(f"{chr(point)!r} (U+{point:04X})" for point in missing[:10])
            more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            raise UserError(
                f"characters that the vocabulary lacks: {shown}{more}; only those of the corpus's "
                "own text have ids (`--vocabulary byte` has one for everything, and `--unknown "
                "replace` makes them U+FFFD)"
            )
        return ids.astype(self._dtype, copy=False)


def _text_of(code_points: np.ndarray) -> str:
    return code_points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True) + "\n"
