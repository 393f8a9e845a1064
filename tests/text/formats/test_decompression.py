"""Files of many streams: the text of the tools that make them, and no gap in it."""

import collections
import functools
import random
import shutil
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import write
from samples import COMPRESS

from pipeline.errors import TextWarning, UserError
from pipeline.text.formats.compressed import read_compressed

SKIPPABLE = struct.pack("<II", 0x184D2A53, 7) + b"no text"
TOOLS = {
    ".gz": ["gzip"],
    ".bz2": ["bzip2"],
    ".xz": ["xz"],
    ".zst": ["zstd", "-q", "--memory=2048MB"],
}
MULTIPLE = {  # several streams, and what may lie between and behind them
    ".gz": [b"", b"\0" * 7, b"\0" * 70_000],
    ".bz2": [b""],
    ".xz": [b"", b"\0" * 4, b"\0" * 70_000],
    ".zst": [b"", SKIPPABLE],
}


def read(path: Path, compression: str) -> bytes:
    return b"".join(block for block, _ in read_compressed(str(path), compression))


@pytest.mark.parametrize(
    ("compression", "between"),
    [(compression, between) for compression in MULTIPLE for between in MULTIPLE[compression]],
)
def test_every_stream_is_read(tmp_path: Path, compression: str, between: bytes) -> None:
    texts = [b"one\n", b"", b"two\n" * 100_000, b"three"]
    streams = [COMPRESS[compression](each) for each in texts]
    path = write(tmp_path / "x", between.join(streams) + between)
    assert read(path, compression) == b"".join(texts)


def test_a_thousand_small_members_come_in_whole_blocks(tmp_path: Path) -> None:
    path = write(tmp_path / "x", COMPRESS[".gz"](b"0123456789" * 10) * 2000)
    blocks = [block for block, _ in read_compressed(str(path), ".gz")]
    assert [len(block) for block in blocks] == [65536, 65536, 65536, 200_000 - 3 * 65536]


@pytest.mark.parametrize("compression", [".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("wrong", [b"x", b"\0", b"\0\0\0\0\0", b"a longer text"])
def test_what_is_no_stream_is_an_error_with_its_place(
    tmp_path: Path, compression: str, wrong: bytes
) -> None:
    first, second = (COMPRESS[compression](each) for each in (b"one\n", b"two\n"))
    for data in (first + wrong + second, first + wrong, first + wrong + second[1:]):
        path = write(tmp_path / "x", data)
        with pytest.raises(UserError, match=rf"x is damaged: after 4 bytes .* byte {len(first)} "):
            read(path, compression)


@pytest.mark.parametrize("compression", MULTIPLE)
def test_a_stream_that_is_cut_off_is_named_so(tmp_path: Path, compression: str) -> None:
    first, second = (COMPRESS[compression](each) for each in (b"one\n", b"two\n" * 100))
    for stop in (1, 2, 3, len(second) // 2, len(second) - 1):
        path = write(tmp_path / "x", first + second[:stop])
        with pytest.raises(UserError, match=r"x is cut off: after .* in the midst of a stream"):
            read(path, compression)


@pytest.mark.parametrize("padding", [b"", b"\0\0\0"])
def test_what_follows_a_gz_is_left_out_with_a_warning(tmp_path: Path, padding: bytes) -> None:
    first = COMPRESS[".gz"](b"one\n")
    path = write(tmp_path / "x", first + padding + b"and more")
    message = (
        f"byte {len(first + padding)} of the file, after the .gz stream that ends at byte "
        f"{len(first)}, is no other, and was left out"
    )
    with pytest.warns(TextWarning, match=message):
        assert read(path, ".gz") == b"one\n"


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(("place", "value"), [(2, 9), (3, 0x20), (3, 0x80)])
def test_a_header_of_an_unknown_kind_is_damage(
    tmp_path: Path, number: int, place: int, value: int
) -> None:
    """As gzip has it; the library would read on."""
    members = [bytearray(COMPRESS[".gz"](b"one\n")) for _ in range(2)]
    members[number][place] = value
    path = write(tmp_path / "x", b"".join(members))
    start = number * len(members[0])
    with pytest.raises(UserError, match=f"the header of the member at byte {start} of the file"):
        read(path, ".gz")


def test_a_window_of_two_gigabytes_is_taken(tmp_path: Path) -> None:
    """As `zstd --long=31` and `--ultra -22 --long` make it; only the frame's header says so."""
    if not shutil.which("zstd"):
        pytest.skip("needs the command zstd")
    plain = b"text " * 1000
    data = subprocess.run(
        ["zstd", "-q", "--long=31", "-c"], input=plain, capture_output=True, check=True
    ).stdout
    assert read(write(tmp_path / "x", data), ".zst") == plain


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("compression", TOOLS)
def test_the_text_is_that_of_the_tool_or_both_complain(
    tmp_path: Path, compression: str, count: int
) -> None:
    """Concatenations, padding, cuts and flipped bits."""
    tool = TOOLS[compression]
    if not shutil.which(tool[0]):
        pytest.skip(f"needs the command {tool[0]}")
    call = functools.partial(subprocess.run, capture_output=True, check=False)
    draw = random.Random(count)
    texts = [b"", b"one\n", b"two two\n" * 50, draw.randbytes(3000), b"z" * 200_000]
    streams = [call([*tool, "-c"], input=text).stdout for text in texts]
    seen: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        data = b"".join(
            _drawn_stream(draw, streams, compression) for _ in range(draw.randint(1, 4))
        )
        damage = draw.choice(("none", "none", "cut", "flip"))
        if damage == "cut":
            data = data[: draw.randint(1, len(data))]
        if damage == "flip":
            place = draw.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
        result = call([*tool, "-dc"], input=data)
        complains = result.returncode != 0 or result.stderr != b""
        path = write(tmp_path / "x", data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                text: bytes | None = read(path, compression)
            except UserError:
                text = None
        seen["taken" if text is not None else "refused"] += 1
        if text is None:
            assert complains
        elif compression == ".gz" and complains:
            # gzip drops a member behind zeros; we read it. What it warns of, we do, or have read.
            assert text.startswith(result.stdout)
            assert caught or b"\0\x1f\x8b" in data
        else:
            assert text == result.stdout
            assert not complains
            assert not caught
    assert min(seen["taken"], seen["refused"]) > count // 10


def _drawn_stream(draw: random.Random, streams: list[bytes], compression: str) -> bytes:
    behind = [b""] * 8 + [b"\0" * 4, b"\0" * 512, b"\0" * 3, b"x", b"hello", b"\x1f", b"BZ"]
    return draw.choice(streams) + draw.choice(behind)


@pytest.mark.parametrize("make", [lambda: b"one\n" * 50_000, lambda: b"", lambda: bytes(2**20)])
def test_without_isal_gz_is_read_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes]
) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    plain = make()
    member = COMPRESS[".gz"](plain)
    assert read(write(tmp_path / "x", member * 2), ".gz") == plain * 2
    with pytest.raises(UserError, match="x is cut off"):
        read(write(tmp_path / "x", member + member[:-3]), ".gz")
    with pytest.raises(UserError, match="x is damaged"):
        read(write(tmp_path / "x", member[:-8] + bytes(4) + b"\1\1\1\1"), ".gz")
