"""Units: the cuts follow from the text alone, and memory stays flat."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.vocabulary.units import UnitEncoder


def units_of(data: bytes, block_bytes: int, unit_bytes: int) -> list[bytes]:
    """What is encoded as a whole, of a text that comes in blocks."""
    found: list[bytes] = []

    def encode_unit(unit: bytes) -> np.ndarray:
        found.append(unit)
        return np.frombuffer(unit, np.uint8)

    encoder = UnitEncoder(encode_unit, np.dtype("u1"), unit_bytes=unit_bytes)
    blocks = [data[start : start + block_bytes] for start in range(0, len(data), block_bytes)]
    ids = [encoder.encode(block) for block in blocks]
    ids.append(encoder.encode(b"", final=True))
    assert np.concatenate(ids).tobytes() == data == b"".join(found)
    return found


@settings(max_examples=200, deadline=None)
@given(st.text("ab \n日𝄞", max_size=300), st.integers(1, 50), st.integers(5, 60))
def test_the_cuts_do_not_depend_on_the_blocks(
    content: str, block_bytes: int, unit_bytes: int
) -> None:
    data = content.encode()
    found = units_of(data, block_bytes, unit_bytes)
    assert found == units_of(data, len(data) or 1, unit_bytes)
    for unit, after in itertools.zip_longest(found, found[1:], fillvalue=b""):
        unit.decode()
        assert 0 < len(unit) <= unit_bytes
        if after:  # all that fits, up to the last newline
            assert unit.endswith(b"\n") or b"\n" not in (unit + after)[:unit_bytes]
            assert unit.endswith(b"\n") or len(unit) > unit_bytes - 4


def test_what_is_not_utf8_is_placed_in_the_stream() -> None:
    with pytest.raises(UnicodeDecodeError) as error:
        units_of(b"a\n" * 50 + b"\xff", 7, 10)
    assert (error.value.start, error.value.end) == (100, 101)
