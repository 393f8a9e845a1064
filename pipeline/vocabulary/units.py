"""Units of text that are encoded as a whole, for vocabularies whose ids depend on the cuts.

Where text is cut, the ids on both sides depend on the cut, so the cuts are part of the format: a
piece of a source is encoded in units of up to `unit_bytes`, each of which ends after its last
newline or, where it has none, at a UTF-8 boundary; a row or a line is a piece of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.vocabulary.base import Encoder, Vocabulary

_CHECK_BYTES = 4096  # of each text that is checked


class UnitVocabulary(Vocabulary):
    """What vocabularies share that encode unit by unit, and whose ids stand for bytes.

    Attributes:
        unit_bytes: the most bytes of a unit.
        bytes_of_ids: the bytes of every id; U+0000 for the separator.
    """

    unit_bytes = 2**20
    bytes_of_ids: Any  # a cached property

    def encode_unit(self, unit: bytes) -> np.ndarray:
        """Returns the ids of a text that is encoded as a whole, `[n]` of `dtype`."""
        raise NotImplementedError

    def encoder(self) -> Encoder:
        """See `Vocabulary.encoder`."""
        return UnitEncoder(self.encode_unit, self.dtype, unit_bytes=self.unit_bytes)

    def encode_documents(self, documents: list[bytes]) -> list[np.ndarray]:
        """See `Vocabulary.encode_documents`."""
        separator = np.array([self.separator_id], self.dtype)
        ids = []
        for document in documents:
            ids += [self.encode(document), separator]
        return ids

    def decode_bytes(self, ids: Any) -> bytes:
        """See `Vocabulary.decode_bytes`."""
        return b"".join(map(self.bytes_of_ids.__getitem__, np.asarray(ids).tolist()))

    def __getstate__(self) -> dict[str, Any]:
        # The derived table is cheap to build and large to send to a worker.
        return {name: v for name, v in self.__dict__.items() if name != "bytes_of_ids"}


class UnitEncoder:
    """Encodes one stream of text, which comes in blocks, unit by unit: a `base.Encoder`.

    Args:
        encode_unit: a unit, which is UTF-8 -> its ids, `[n]` of `dtype`.
        dtype: of an id.
        unit_bytes: the most bytes of a unit.
    """

    def __init__(
        self,
        encode_unit: Callable[[bytes], np.ndarray],
        dtype: np.dtype[Any],
        *,
        unit_bytes: int,
    ):
        self._encode_unit = encode_unit
        self._dtype = dtype
        self._unit_bytes = unit_bytes
        self._held = bytearray()
        self._num_bytes = 0  # encoded so far

    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        """See `base.Encoder.encode`."""
        self._held += block
        ids = []
        while len(self._held) > self._unit_bytes:
            ids.append(self._encode_next(_cut(self._held, self._unit_bytes)))
        if final and self._held:
            ids.append(self._encode_next(len(self._held)))
        return np.concatenate(ids) if ids else np.zeros(0, self._dtype)

    def _encode_next(self, num_bytes: int) -> np.ndarray:
        unit = bytes(self._held[:num_bytes])
        try:
            unit.decode()
        except UnicodeDecodeError as error:
            error.start, error.end = error.start + self._num_bytes, error.end + self._num_bytes
            raise
        del self._held[:num_bytes]
        self._num_bytes += num_bytes
        return self._encode_unit(unit)


def sample_of(text: bytes) -> str:
    """Returns the beginning of a text, up to a newline where it has one, for `Vocabulary.check`."""
    beginning = text[: text.rfind(b"\n", 0, _CHECK_BYTES) + 1] or text[:_CHECK_BYTES]
    return beginning.decode("utf-8", "ignore")


def _cut(held: bytearray, unit_bytes: int) -> int:
    """How much of more than `unit_bytes` is one unit."""
    newline = held.rfind(b"\n", 0, unit_bytes)
    if newline >= 0:
        return newline + 1
    boundary = unit_bytes
    while boundary > unit_bytes - 4 and held[boundary] & 0xC0 == 0x80:
        boundary -= 1
    return boundary
