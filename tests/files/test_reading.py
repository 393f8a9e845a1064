"""reading: blocks of a file in a store bring what is wanted, and no more."""

import pytest
import storage

from pipeline import UserError
from pipeline.files import read_blocks, write_text


@pytest.mark.parametrize("name", ["google", "s3"])
def test_nothing_behind_the_blocks_is_read(name: str, request: pytest.FixtureRequest) -> None:
    """A piece of a source ends where the next worker's begins."""
    store: storage.Store = request.getfixturevalue(name)
    uri = f"{store.new_bucket()}/text"
    text = "0123456789" * 200_000
    write_text(uri, text)
    for start, stop in ((0, 1_000), (300_000, 1_700_000), (1_999_990, 2_000_000)):
        store.proxy.reset()
        assert b"".join(read_blocks(uri, start, stop)).decode() == text[start:stop]
        ranges = [each.range for each in store.proxy.requests if each.range is not None]
        ends = [[int(end) for end in each[len("bytes=") :].split("-")] for each in ranges]
        assert sum(last + 1 - first for first, last in ends) == stop - start
    with pytest.raises(UserError, match="ends at byte 2000000, but had 2000001"):
        list(read_blocks(uri, 10, 2_000_001))
