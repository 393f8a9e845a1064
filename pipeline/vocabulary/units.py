"""Units: what of a text is encoded as a whole, where the ids on both sides depend on a cut.

A piece of a source is encoded in units of up to `UNIT_BYTES`, each of which ends after its last
newline or, where it has none, at a UTF-8 boundary; a row or a line is a piece of its own. So the
cuts are part of the format, and a line of any length stays in flat memory.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

UNIT_BYTES = 2**20


class UnitEncoder:
    """Encodes one stream of text, which comes in blocks, unit by unit: a `base.Encoder`.

    Args:
        encode_unit: a unit, which is UTF-8 -> its ids, `[n]` of `dtype`.
        dtype: of an id.
    """

    def __init__(self, encode_unit: Callable[[bytes], np.ndarray], dtype: np.dtype[Any]):
        self._encode_unit = encode_unit
        self._dtype = dtype
        self._held = bytearray()
        self._num_bytes = 0  # encoded so far

    def encode(self, block: bytes, *, final: bool = False) -> np.ndarray:
        """See `base.Encoder.encode`."""
        self._held += block
        ids = []
        while len(self._held) > UNIT_BYTES:
            ids.append(self._encode_next(_unit_bytes(self._held)))
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


def _unit_bytes(held: bytearray) -> int:
    """How much of more than `UNIT_BYTES` is one unit."""
    newline = held.rfind(b"\n", 0, UNIT_BYTES)
    if newline >= 0:
        return newline + 1
    boundary = UNIT_BYTES
    while boundary > UNIT_BYTES - 4 and held[boundary] & 0xC0 == 0x80:
        boundary -= 1
    return boundary
