"""Characters of Unicode 17 and 18, of which libraries of different age think differently.

A letter of Unicode 17 is none to a library that knows Unicode 16: the two cut words elsewhere.
"""

import numpy as np

# Those from U+0800 on that Unicode 16 lacks and 18 has, and what is unassigned between them.
_RANGES = """
    88F B53-B54 C5C CDC 1ACF-1AF0 208F 209D-209F 20C1-20C4 2B96 2E60-2E63 A7CE-A7CF A7D2 A7D4
    A7DD-A7F1 AB6C-AB6D FBC3-FBD2 FD90-FD91 FDC8-FDCE 107BB-107BF 10940-10959 10EC5-10EFB
    11B0A-11B67 11DB0-11DF1 1246F 12475-1247F 12550-12686 16EA0-16ED3 16FF2-16FF6 187F8-187FF
    18CD6-18CDA 18D09-191D2 1B123-1B128 1B168 1CCFA-1CCFC 1CEBA-1CEFD 1D127-1D128 1D1EB-1D1FF
    1D250-1D281 1D6A6 1DB00-1DB1C 1DF1F-1DF24 1DF2B-1DFFF 1E6C0-1E6FF 1F1AE 1F6D8-1F6D9
    1F777-1F77A 1F7DA-1F7DB 1F7F1-1F7FF 1F8D0-1F8D8 1FA54-1FA57 1FA8A-1FA8E 1FAC8-1FACD 1FADD
    1FAEA-1FAEF 1FAF9-1FAFA 1FBFA 2B73A-2B73F 2B81E 2CEA2-2CEAD 323B0-3FC3F
"""
_BOUNDS = [(run.partition("-")[0], run.rpartition("-")[2]) for run in _RANGES.split()]
_STARTS, _STOPS = np.array([[int(start, 16), int(stop, 16)] for start, stop in _BOUNDS]).T
_LEAD = 0xE0  # the first byte of U+0800 and all that follow; from 0xF0 on they have four


def has_newest_characters(text: bytes) -> bool:
    """Whether a text, which is UTF-8, has such characters."""
    data = np.frombuffer(text, np.uint8)
    leads = np.flatnonzero(data >= _LEAD)
    if len(leads):
        leads = leads[_SUSPECTS[data[leads].astype(np.uint16) << 8 | data[leads + 1]]]
    if len(leads) == 0:
        return False
    points = _code_points(data, leads)
    runs = np.searchsorted(_STARTS, points, "right") - 1
    return bool((points <= _STOPS[runs])[runs >= 0].any())


def _code_points(data: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """The characters that begin at `leads`, of three or four bytes each."""
    first, second, third = (data[leads + offset].astype(np.int64) for offset in range(3))
    points = (first & 0x0F) << 12 | (second & 0x3F) << 6 | third & 0x3F
    long = first >= 0xF0
    points[long] = (points[long] & 0x7FFF) << 6 | data[leads[long] + 3] & 0x3F
    return points


def _suspects() -> np.ndarray:
    """`[65536]` bool, by the first two bytes of a character: whether it may be such a one."""
    table = np.zeros(2**16, bool)
    for start, stop in zip(_STARTS.tolist(), _STOPS.tolist(), strict=True):
        for point in (*range(start, stop, 64), stop):
            first, second = chr(point).encode()[:2]
            table[first << 8 | second] = True
    return table


_SUSPECTS = _suspects()
