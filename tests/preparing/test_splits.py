"""Splits: what a text is decides, and nothing else."""

import bisect
import hashlib
import math
import shutil
from pathlib import Path

import pytest
from corpora import text, write
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import PrepareOptions, prepare
from pipeline.preparing.splits import RangeCutter, SplitOf
from pipeline.text.sources import find_sources

DEFAULT = {"train": 0.98, "validation": 0.02}
SPLITS = {"train": 0.7, "validation": 0.3}


def test_the_split_of_bytes_is_fixed_for_all_time() -> None:
    """Corpora that are prepared years later must send a text to where it was."""
    split_of = SplitOf({"train": 0.5, "validation": 0.3, "test": 0.2})
    found = [split_of(str(number).encode()) for number in range(12)]
    assert " ".join(found) == (
        "validation test train validation train validation train test validation validation test "
        "test"
    )
    counts = [split_of(str(number).encode()) for number in range(10_000)]
    for split, share in (("train", 0.5), ("validation", 0.3), ("test", 0.2)):
        assert abs(counts.count(split) / 10_000 - share) < 0.02


def test_many_texts_go_where_each_goes() -> None:
    shares = {"a": 0.1, "b": 0.2, "c": 0.7}
    texts = [str(number).encode() * (number % 7) for number in range(5000)]
    expected = []
    for each in texts:
        number = int.from_bytes(hashlib.blake2b(each, digest_size=8).digest(), "big")
        expected.append(bisect.bisect_right([0.1, 0.1 + 0.2], number / 2**64))
    assert SplitOf(shares).indices(texts).tolist() == expected
    assert SplitOf(shares).indices([]).tolist() == []
    assert SplitOf({"train": 1.0}).indices(texts).tolist() == [0] * 5000


def split_of(path: Path) -> str:
    return SplitOf(SPLITS).documents(find_sources([path]).sources)[0]


def test_the_splits_of_documents_are_fixed_for_all_time(tmp_path: Path) -> None:
    contents = [(bytes(range(256)) * 400)[:size] for size in (1, 5, 900, 12_288, 12_289, 90_000)]
    paths = [write(tmp_path / str(number), each) for number, each in enumerate(contents)]
    found = SplitOf({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}).documents(
        find_sources(paths).sources
    )
    assert " ".join(found) == "b b b d a a"


def books_in(corpus: Path, sources: list[Path], **options: object) -> dict[str, set[bytes]]:
    """Split -> the books in it."""
    manifest = prepare(sources, corpus, PrepareOptions(splits=SPLITS), workers=1)
    parent = corpus.parent
    found: dict[str, set[bytes]] = {split: set() for split in SPLITS}
    for name, split in manifest.splits.items():
        for piece in (piece for shard in split.shards for piece in shard.pieces):
            source = manifest.sources[piece.source_index].name
            (path,) = [path for path in parent.rglob(source) if path.is_file()]
            if path.read_bytes().startswith(b"book"):
                found[name].add(path.read_bytes())
    return found


def test_a_document_stays_in_its_split_whatever_else_there_is(tmp_path: Path) -> None:
    """However the command line is spelled, and wherever the files lie."""
    for index in range(100):
        write(tmp_path / f"data/books/b{index}.txt", f"book {index}")
        write(tmp_path / f"data/news/n{index}.txt", f"news {index}")
    books, news = tmp_path / "data/books", tmp_path / "data/news"
    alone = books_in(tmp_path / "1", [books])
    assert min(len(each) for each in alone.values()) > 10
    assert books_in(tmp_path / "2", [books, news]) == alone
    assert books_in(tmp_path / "3", [tmp_path / "data"]) == alone
    moved = tmp_path / "data/shelf"
    for number, path in enumerate(sorted(books.iterdir(), reverse=True)):
        moved.mkdir(exist_ok=True)
        path.rename(moved / f"renamed {number}")
    assert books_in(tmp_path / "4", [tmp_path / "data"]) == alone


@pytest.mark.parametrize("size", [1, 100, 12_287, 12_288, 12_289, 100_000])
def test_copies_are_in_one_split(tmp_path: Path, size: int) -> None:
    splits = set()
    for seed in range(12):
        path = write(tmp_path / "one" / str(seed), text(size, seed=seed))
        copy = tmp_path / f"another name {seed}"
        shutil.copy(path, copy)
        assert split_of(path) == split_of(copy)
        splits.add(split_of(path))
    assert size == 1 or splits == set(SPLITS)


@pytest.mark.parametrize("size", [10, 12_288, 12_289, 100_000])
@pytest.mark.parametrize("place", [0, 0.5, 0.999999])
def test_a_change_at_either_end_or_in_the_middle_is_seen(
    tmp_path: Path, size: int, place: float
) -> None:
    (source,) = find_sources([write(tmp_path / "x", b"a" * size)]).sources
    before = source.sample()
    assert len(before) < 13_000
    content = bytearray(b"a" * size)
    content[int(size * place)] = 0
    (changed,) = find_sources([write(tmp_path / "x", bytes(content))]).sources
    assert changed.sample() != before
    (longer,) = find_sources([write(tmp_path / "x", b"a" * (size + 1))]).sources
    assert longer.sample() != before


def test_with_one_split_nothing_is_read(tmp_path: Path) -> None:
    sources = find_sources([write(tmp_path / "x", "text")]).sources
    (tmp_path / "x").unlink()
    assert SplitOf({"train": 1.0}).documents(sources) == ["train"]


def ranges_of(content: bytes, *, block: int, splits: dict[str, float]) -> list[tuple[str, bytes]]:
    """The ranges of a text that comes in blocks, joined."""
    blocks = (content[start : start + block] for start in range(0, len(content), block))
    found: list[tuple[str, bytes]] = []
    ends, position = True, 0
    for split, part in RangeCutter(splits).cut(blocks):
        if ends:
            found.append((split, b""))
            position = sum(len(each) for _, each in found)
        assert found[-1][0] == split
        assert part.position == position
        found[-1] = (split, found[-1][1] + part.text)
        ends = part.final
    assert ends
    return found


@settings(max_examples=150)
@given(
    st.integers(0, 30_000),
    st.sampled_from([{"train": 0.98, "validation": 0.02}, {"a": 0.3, "b": 0.3, "c": 0.4}]),
    st.sampled_from(["lines", "characters", "bytes"]),
)
def test_a_stream_is_cut_alike_however_it_comes(
    size: int, splits: dict[str, float], kind: str
) -> None:
    content = {
        "lines": b"a line of text\n" * (size // 15 + 1),
        "characters": "日𝄞é".encode() * (size // 9 + 1),
        "bytes": b"\x80" * size,
    }[kind][:size]
    if kind == "characters":
        content = content.decode("utf-8", "ignore").encode()
    whole = ranges_of(content, block=2**20, splits=splits)
    assert b"".join(part for _, part in whole) == content
    assert all(part for _, part in whole)
    names = list(splits) * len(whole)
    assert [split for split, _ in whole] == names[: len(whole)]
    for block in (1, 7, 1000):
        if block * 100 >= size:
            assert ranges_of(content, block=block, splits=splits) == whole
    rest = content
    for _, part in whole[:-1]:
        rest = rest[len(part) :]
        if kind == "characters":
            part.decode()
        if kind == "lines" and len(part) > 500:
            assert part.endswith(b"\n") or b"\n" not in rest  # the last line, which has no end


@pytest.mark.parametrize("size", [4_000, 50_000, 1_000_000, 20_000_000])
def test_every_part_of_a_stream_has_its_share(size: int) -> None:
    ranges = ranges_of(b"a line of text\n" * (size // 15), block=2**16, splits=DEFAULT)
    held_out = [(split, len(part)) for split, part in ranges if split == "validation"]
    assert 0.01 * size < sum(length for _, length in held_out) < 0.022 * size
    assert len(ranges) < 2 * (math.log(size / 3200 * 0.25 + 1) / math.log(1.25) + 1)
    position, starts = 0, []
    for split, part in ranges:
        starts += [position] if split == "validation" else []
        position += len(part)
    assert size < 50_000 or starts[-1] > size * 0.75, "also the end of the text"


@settings(max_examples=100)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=12), st.integers(1, 3000))
def test_texts_are_cut_as_if_they_were_one(sizes: list[int], block: int) -> None:
    """But that a range ends where a text does, too."""
    splits = {"a": 0.5, "b": 0.3, "c": 0.2}
    whole = ranges_of(b"x" * sum(sizes), block=block, splits=splits)
    expected = b"".join(split.encode() * len(part) for split, part in whole)
    cutter, found = RangeCutter(splits), b""
    for size in sizes:
        blocks = (b"x" * min(block, size - start) for start in range(0, size, block))
        parts = [*cutter.cut(blocks)]
        assert b"".join(part.text for _, part in parts) == b"x" * size
        assert not parts or parts[-1][1].final
        found += b"".join(split.encode() * len(part.text) for split, part in parts)
    assert found == expected


@pytest.mark.parametrize("end", [b"", b"b\n"])
def test_a_text_that_ends_where_a_range_does_begins_no_other(end: bytes) -> None:
    """The first range of train has 3,136 bytes, and may have 32 more up to a newline."""
    cutter = RangeCutter({"train": 0.98, "validation": 0.02})
    first, second = (list(cutter.cut([each])) for each in (b"a" * 3136 + end, b"c" * 10))
    assert {split for split, _ in first} == {"train"}
    assert [part.final for _, part in first] == [False, True]
    assert b"".join(part.text for _, part in first) == b"a" * 3136 + end
    assert {split for split, _ in second} == {"validation"}


def test_the_ranges_of_a_stream_are_fixed_for_all_time() -> None:
    ranges = ranges_of(b"x" * 20_000, block=4096, splits={"a": 0.5, "b": 0.3, "c": 0.2})
    lengths = [160, 96, 64, 200, 120, 80, 250, 150, 100, 312, 188, 125]
    assert [(split, len(part)) for split, part in ranges[:12]] == list(
        zip("abc" * 4, lengths, strict=True)
    )
