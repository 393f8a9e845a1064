"""reading: blocks of a file in a store bring what is wanted, and no more, by few requests."""

import time
from pathlib import Path

import pytest
import storage

from pipeline import UserError
from pipeline.files import open_file, put_file, read_blocks, read_bytes, write_text
from pipeline.files.store import MOST_READ_BYTES

TEXT = "0123456789" * 200_000


def ranges(store: storage.Store) -> list[tuple[int, int]]:
    """What was asked for since the last `reset`; nothing but ranges was."""
    found = [(request.range or "").removeprefix("bytes=") for request in store.proxy.requests]
    ends = [each.split("-") for each in found]
    return [(int(first), int(last) + 1) for first, last in ends]


@pytest.mark.parametrize("name", ["google", "s3", "azure"])
def test_nothing_behind_the_blocks_is_read(name: str, request: pytest.FixtureRequest) -> None:
    """A piece of a source ends where the next worker's begins; how long it is, is known."""
    store: storage.Store = request.getfixturevalue(name)
    uri = f"{store.new_bucket()}/text"
    write_text(uri, TEXT)
    for start, stop in ((0, 1_000), (300_000, 1_700_000), (1_999_990, 2_000_000)):
        store.proxy.reset()
        assert b"".join(read_blocks(uri, start, stop)).decode() == TEXT[start:stop]
        assert ranges(store) == [(start, stop)]
        store.proxy.reset()
        assert b"".join(read_blocks(uri, start, stop, whole=False)).decode() == TEXT[start:stop]
        asked = ranges(store)
        assert (asked[0][0], asked[-1][1]) == (start, stop)
        assert sum(last - first for first, last in asked) == stop - start
    store.proxy.reset()
    assert read_bytes(uri).decode() == TEXT
    assert len(store.proxy.requests) == 1
    with pytest.raises(UserError, match="ends at byte 2000000, but had 2000001"):
        list(read_blocks(uri, 10, 2_000_001))
    shorter = open_file(uri, stop=2_000_001)
    shorter.seek(10)
    with pytest.raises(UserError, match="gave 1999990 of 1999991 bytes from byte 10; it changed"):
        shorter.read(2_000_000)


def test_the_next_range_comes_while_one_is_used(s3: storage.Store, tmp_path: Path) -> None:
    """One, and not more: two are in memory."""
    (tmp_path / "x").write_bytes(bytes(3 * MOST_READ_BYTES + 10))
    uri = f"{s3.new_bucket()}/x"
    put_file(tmp_path / "x", uri)
    s3.proxy.reset()
    blocks = read_blocks(uri, 5, 3 * MOST_READ_BYTES + 10)
    next(blocks)
    deadline = time.monotonic() + 20
    while len(s3.proxy.requests) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    starts = [5 + MOST_READ_BYTES * number for number in range(4)]
    assert [first for first, _ in ranges(s3)] == starts[:2]
    assert sum(map(len, blocks)) + 64 * 1024 == 3 * MOST_READ_BYTES + 5
    assert [first for first, _ in ranges(s3)] == starts


def test_who_looks_for_a_place_reads_little(s3: storage.Store) -> None:
    uri = f"{s3.new_bucket()}/text"
    write_text(uri, TEXT)
    s3.proxy.reset()
    next(read_blocks(uri, 100, len(TEXT), whole=False))
    assert ranges(s3) == [(100, 100 + 64 * 1024)]
