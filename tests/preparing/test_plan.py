"""Plans of sources that are no files: a format of the test says where they may be cut."""

import dataclasses
import io
import itertools
from pathlib import Path

import pytest
from corpora import write
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pipeline.files.reading
from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import (
    Plan,
    given_splits,
    make_plan,
    num_source_bytes,
    written_together,
)
from pipeline.preparing.splits import SplitOf
from pipeline.text.formats import plain_text
from pipeline.text.pieces import Format, Source
from pipeline.text.sources import find_sources


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cuttable(Format):
    """Cut `jump` bytes after the offset, as far as the search may go."""

    jump: int = 0
    many: bool = False
    compression: str = ""

    @property
    def is_document(self) -> bool:
        return not self.many

    def sample(self, source: Source) -> bytes:
        return source.name.encode()

    def cut(self, source: Source, offset: int, search_bytes: int) -> int:
        if self.compression:
            return source.length
        jump = self.jump if self.many else min(self.jump, search_bytes)
        return min(offset + jump, source.length)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class OfSplit(Cuttable):
    """Text whose split is known, as of a file that is named so."""

    given_split: str


def sources_of(sizes: list[int], **options: int | bool | str) -> list[Source]:
    return [
        Source(path=f"/{i}", name=f"{i}.txt", source_bytes=size, format=Cuttable(**options))
        for i, size in enumerate(sizes)
    ]


def covered(plan: Plan) -> list[tuple[int, int, int]]:
    """Every (source, start, stop), over all splits."""
    return sorted((int(p.source.path[1:]), p.start, p.stop) for pieces in plan for p in pieces)


@settings(max_examples=300)
@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=30),
    st.integers(64, 5000),
    st.sampled_from([{"train": 1.0}, {"train": 0.9, "test": 0.1}, {"a": 0.3, "b": 0.3, "c": 0.4}]),
    st.integers(0, 70),
)
def test_every_byte_of_every_source_exactly_once(
    sizes: list[int], shard_bytes: int, splits: dict[str, float], jump: int
) -> None:
    options = PrepareOptions(shard_bytes=shard_bytes, splits=splits)
    try:
        plan = make_plan(sources_of(sizes, jump=jump), options)
    except UserError:
        # A split may be no text at all, but only a small one.
        small = sum(sizes) * min(splits.values()) < 200
        assume(not small)
        raise
    for index, pieces in itertools.groupby(covered(plan), key=lambda piece: piece[0]):
        position = 0
        for _, start, stop in pieces:
            assert start == position < stop
            position = stop
        assert position == sizes[index]
    assert len({index for index, _, _ in covered(plan)}) == len(sizes)
    assert plan.source_bytes == sum(sizes)
    for (split,), shards in plan.shards.items():
        assert all(shard for shard in shards) or shards == [()]
        assert {piece.split for shard in shards for piece in shard} <= {split}
        largest = max(min(size, shard_bytes) for size in sizes)
        for shard in shards:
            assert sum(p.stop - p.start for p in shard) <= shard_bytes + largest + 70


@settings(max_examples=100)
@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=20),
    st.integers(64, 5000),
    st.integers(0, 500),
)
def test_sources_of_many_documents_are_cut_for_all_splits_together(
    sizes: list[int], shard_bytes: int, jump: int
) -> None:
    options = PrepareOptions(shard_bytes=shard_bytes, splits={"train": 0.9, "test": 0.1})
    alone = sources_of([100] * 20)
    sources = [*sources_of(sizes, jump=jump, many=True), *alone]
    sources = [dataclasses.replace(s, path=f"/{i}", name=f"{i}") for i, s in enumerate(sources)]
    plan = make_plan(sources, options)
    assert list(plan.shards) == [("train", "test")]
    split_of = SplitOf(options.splits)
    stops = dict.fromkeys(range(len(sources)), 0)
    for piece in itertools.chain.from_iterable(plan):
        index = int(piece.source.path[1:])
        assert piece.start == stops[index]
        stops[index] = piece.stop
        own = None if index < len(sizes) else split_of(piece.source.name.encode())
        assert piece.split == own
    assert [stops[index] for index in range(len(sources))] == [s.length for s in sources]


def test_a_short_document_beside_many_rows_stays_whole() -> None:
    (rows,) = sources_of([100_000], many=True)
    document = dataclasses.replace(sources_of([100])[0], path="/1", name="1.txt")
    (pieces,) = make_plan([rows, document], PrepareOptions())
    assert [(p.source.path, p.start, p.stop, p.split) for p in pieces] == [
        ("/0", 0, 100_000, None),
        ("/1", 0, 100, "train"),
    ]


def test_rows_are_shared_by_the_bytes_of_their_source() -> None:
    """A source of 10 rows and 1,000 bytes beside one of 1,000 rows and as many bytes."""
    few, many = (
        Source(
            path="/", name=str(rows), source_bytes=1000, format=Cuttable(many=True), num_rows=rows
        )
        for rows in (10, 1000)
    )
    plan = make_plan([few, many], PrepareOptions(splits={"train": 1.0}, shard_bytes=500))
    pieces = [[(p.source.name, p.start, p.stop) for p in shard] for shard in plan]
    assert pieces == [
        [("10", 0, 5)],
        [("10", 5, 10)],
        [("1000", 0, 500)],
        [("1000", 500, 1000)],
    ]


def test_many_documents_go_to_splits_whole() -> None:
    options = PrepareOptions(splits={"train": 0.9, "test": 0.1}, shard_bytes=2000)
    plan = make_plan(sources_of([100] * 1000), options)
    assert covered(plan) == [(i, 0, 100) for i in range(1000)]
    assert 60 <= sum(len(shard) for shard in plan.shards["test",]) <= 140
    more = make_plan(sources_of([100] * 1001), options)
    before, after = ({p.source.name for s in x.shards["test",] for p in s} for x in (plan, more))
    assert before <= after  # a document's split does not depend on the others


def test_one_document_is_cut_into_ranges() -> None:
    options = PrepareOptions(splits={"train": 0.75, "test": 0.25}, shard_bytes=300)
    plan = make_plan(sources_of([1000]), options)
    ranges = {
        split: [(p.start, p.stop) for shard in shards for p in shard]
        for (split,), shards in plan.shards.items()
    }
    assert ranges == {"train": [(0, 250), (250, 500), (500, 750)], "test": [(750, 1000)]}


def ranges_of(plan: Plan, split: str) -> list[tuple[int, int, int]]:
    """Every (source, start, stop) of a split that is written alone."""
    return [
        (int(p.source.path[1:]), p.start, p.stop) for shard in plan.shards[split,] for p in shard
    ]


def test_every_large_source_is_in_every_split() -> None:
    """Six languages of unequal size: each is validated on, in several places."""
    sizes = [n * 2**20 for n in (20, 30, 50, 80, 130, 210)]
    plan = make_plan(sources_of(sizes), PrepareOptions())
    held_out = ranges_of(plan, "validation")
    for index, size in enumerate(sizes):
        own = [(start, stop) for source, start, stop in held_out if source == index]
        assert sum(stop - start for start, stop in own) == pytest.approx(0.02 * size, rel=0.001)
        assert len(own) == min(size // 50 // 65_536, 8) > 4
        assert own[-1][1] == size
        distances = [later[0] - earlier[0] for earlier, later in itertools.pairwise(own)]
        assert max(distances) - min(distances) <= 1
    pieces = list(itertools.chain.from_iterable(plan))
    assert all(piece.ends_document for piece in pieces if piece.split == "validation")


def test_a_large_document_leaves_the_others_where_they_are() -> None:
    """It is cut; their hashes decide as before."""
    options = PrepareOptions(splits={"train": 0.9, "test": 0.1})
    alone = make_plan(sources_of([100] * 1000), options)
    sources = sources_of([100] * 1000 + [10**6])
    plan = make_plan(sources, options)
    small = [each for each in ranges_of(plan, "test") if each[0] < 1000]
    assert small == ranges_of(alone, "test")
    (large,) = [each for each in ranges_of(plan, "test") if each[0] == 1000]
    assert large == (1000, 900_000, 10**6)


@pytest.mark.parametrize("num_sources", [10, 100])
def test_few_short_documents_share_ranges(num_sources: int) -> None:
    """Where their hashes miss the fractions: a range has several of them, most of them whole."""
    options = PrepareOptions(splits={"train": 0.99, "test": 0.01})
    plan = make_plan(sources_of([990] * num_sources), options)
    held_out = ranges_of(plan, "test")
    num_bytes = sum(stop - start for _, start, stop in held_out)
    assert num_bytes == pytest.approx(num_sources * 9.9, abs=num_sources / 26 * 990 / 2)
    assert len(held_out) <= max(1, num_sources // 26)


def test_a_short_document_in_a_long_range_is_not_cut() -> None:
    """Equal documents are in one split, which misses the fractions: all are cut, but whole."""

    class Equal(Cuttable):
        def sample(self, source: Source) -> bytes:
            return b"the same"

    sources = [dataclasses.replace(each, format=Equal()) for each in sources_of([100] * 60)]
    plan = make_plan(sources, PrepareOptions(splits={"train": 0.9, "test": 0.1}))
    assert covered(plan) == [(index, 0, 100) for index in range(60)]
    # Of 26 and of 34 documents.
    assert [index for index, _, _ in ranges_of(plan, "test")] == [24, 25, 57, 58, 59]


def test_compressed_documents_that_outweigh_go_to_all_splits_together() -> None:
    compressed = sources_of([10**6, 10**6], compression=".gz")
    plain = dataclasses.replace(sources_of([10**6])[0], path="/2", name="2.txt")
    plan = make_plan([*compressed, plain], PrepareOptions(shard_bytes=10**6))
    assert list(plan.shards) == [("train", "validation")]
    pieces = list(itertools.chain.from_iterable(plan))
    assert [(p.source.path, p.start, p.stop, p.split) for p in pieces] == [
        ("/0", 0, 10**6, None),
        ("/1", 0, 10**6, None),
        ("/2", 0, 980_000, "train"),
        ("/2", 980_000, 10**6, "validation"),
    ]
    assert make_plan(compressed, PrepareOptions(splits={"train": 1.0})).shards.keys() == {
        ("train",)
    }
    many = sources_of([100] * 1000, compression=".gz")
    assert list(make_plan(many, PrepareOptions()).shards) == [("train",), ("validation",)]


def test_small_documents_are_not_cut_between_shards() -> None:
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=250)
    plan = make_plan(sources_of([100] * 7 + [600]), options)
    pieces = [[(int(p.source.path[1:]), p.start, p.stop) for p in shard] for shard in plan]
    assert all(start == 0 for shard in pieces for i, start, _ in shard if i < 7)
    assert len(pieces) == 6


def test_a_shard_is_a_sixteenth_of_the_text_within_bounds() -> None:
    options = PrepareOptions(splits={"train": 1.0})
    for mebibytes, num_shards in ((1, 1), (8, 2), (64, 16), (640, 16), (1024, 16), (1280, 20)):
        plan = make_plan(sources_of([mebibytes * 2**20]), options)
        assert len(list(plan)) == num_shards


def test_a_small_split_without_text_has_an_empty_shard_the_largest_is_refused() -> None:
    options = PrepareOptions(splits={"train": 0.99, "test": 0.01})
    plan = make_plan(sources_of([20]), options)
    assert [len(pieces) for (pieces,) in plan.shards.values()] == [1, 0]
    options = PrepareOptions(splits={"train": 0.5, "test": 0.5})
    with pytest.raises(UserError, match=r"t\w+=0.5 of 1 bytes is no text at all.*train=1`$"):
        make_plan(sources_of([1]), options)


def test_a_source_that_says_its_split_goes_there_whole() -> None:
    sources = [
        Source(path=f"/{i}", name=f"{i}", source_bytes=size, format=OfSplit(given_split=split))
        for i, (split, size) in enumerate([("test", 100), ("train", 400), ("train", 300)])
    ]
    assert list(given_splits(sources).items()) == [("train", 700), ("test", 100)]
    plan = make_plan(sources, PrepareOptions(splits={"train": 0.875, "test": 0.125}))
    assert ranges_of(plan, "train") == [(1, 0, 400), (2, 0, 300)]
    assert ranges_of(plan, "test") == [(0, 0, 100)]


def test_splits_are_written_alone_where_all_sources_are_documents() -> None:
    assert written_together(["a", "b"], [True, True]) == [("a",), ("b",)]
    assert written_together(["a", "b"], [True, False]) == [("a", "b")]
    assert num_source_bytes(()) == 0


_END = b"the end"


@pytest.mark.parametrize(
    ("content", "reading"),
    [
        (b"a" * 2_000_000, {"document": "line"}),
        (b"a\n" * 1_000_000, {"document": "blank_line"}),
        (b"<|end" * 400_000, {"document": "<|endoftext|>"}),
        (b"-" * 1_000_000 + _END, {"document": "---"}),
        (b'{"text": "' + b"a" * 2_000_000 + b'"}', {"text_field": "text"}),
        (b"a" * 2_000_000 + b"\n" + _END, {"document": "line"}),
        (b"a" * 2_000_000, {}),
        (b"\n\n<|endoftext|>" * 100_000, {"document": "<|endoftext|>"}),
    ],
)
@pytest.mark.parametrize("shard_bytes", [10_000, 100_000])
def test_planning_reads_no_byte_twice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
    reading: dict[str, str],
    shard_bytes: int,
) -> None:
    """But those around a cut, whatever the text lacks: delimiters, newlines."""
    suffix = ".jsonl" if "text_field" in reading else ".txt"
    path = write(tmp_path / f"x{suffix}", content)
    num_read = [0]

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size)
            num_read[0] += len(data or b"")
            return data or b""

    monkeypatch.setattr(pipeline.files.reading, "open_file", lambda path, **_: Counted(path))
    monkeypatch.setattr(plain_text, "open_file", lambda path, **_: Counted(path))
    options = PrepareOptions(splits={"train": 1.0}, shard_bytes=shard_bytes, **reading)
    plan = make_plan(find_sources([path], reading=options.reading).sources, options)
    pieces = [piece for shard in plan for piece in shard]
    assert [piece.start for piece in pieces[1:]] == [piece.stop for piece in pieces[:-1]]
    assert pieces[-1].stop == len(content)
    num_shards = -(-len(content) // shard_bytes)
    assert num_read[0] <= len(content) + num_shards * BLOCK_BYTES
