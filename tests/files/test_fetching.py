"""fetching: whole files, in parts, from where an earlier fetch was cut off."""

from pathlib import Path

import pytest

from pipeline import UserError
from pipeline.files import fetch_file, fetching, read_ranges

CONTENT = bytes(range(256)) * 4


@pytest.mark.parametrize("start", [0, 1, 100, 1023, 1024])
@pytest.mark.parametrize("part_bytes", [100, 2000])
def test_the_rest_of_a_file_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int, part_bytes: int
) -> None:
    monkeypatch.setattr(fetching, "FETCH_BYTES", part_bytes)
    (tmp_path / "stored").write_bytes(CONTENT)
    (tmp_path / "local").write_bytes(CONTENT[:start] + b"half a part")
    uri = f"disk://{tmp_path}/stored"
    fetch_file(uri, tmp_path / "local", num_bytes=len(CONTENT), start=start)
    assert (tmp_path / "local").read_bytes() == CONTENT


def test_a_file_that_is_shorter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stored").write_bytes(CONTENT)
    with pytest.raises(UserError, match="has no 1025 bytes from byte 0"):
        fetch_file(f"disk://{tmp_path}/stored", tmp_path / "local", num_bytes=1025)


@pytest.mark.parametrize("prefix", ["", "disk://"])
def test_ranges_come_in_order(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    starts = range(0, 1000, 10)
    stops = [start + start % 7 for start in starts]
    expected = [CONTENT[start:stop] for start, stop in zip(starts, stops, strict=True)]
    assert read_ranges(f"{prefix}{tmp_path}/x", starts, stops) == expected
    with pytest.raises(UserError, match=r"ends at byte 1024|has no 1020 bytes"):
        read_ranges(f"{prefix}{tmp_path}/x", [0, 5], [1, 1025])
