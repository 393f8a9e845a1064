"""Splits: what a text is decides, and nothing else."""

import shutil
from pathlib import Path

import pytest
from corpora import text, write

from pipeline import PrepareOptions, prepare
from pipeline.preparing.splits import SplitOf
from pipeline.text.sources import find_sources

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


def split_of(path: Path) -> str:
    return SplitOf(SPLITS).documents(find_sources([path]))[0]


def test_the_splits_of_documents_are_fixed_for_all_time(tmp_path: Path) -> None:
    contents = [(bytes(range(256)) * 400)[:size] for size in (1, 5, 900, 12_288, 12_289, 90_000)]
    paths = [write(tmp_path / str(number), each) for number, each in enumerate(contents)]
    found = SplitOf({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}).documents(find_sources(paths))
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
    (source,) = find_sources([write(tmp_path / "x", b"a" * size)])
    before = source.sample()
    assert len(before) < 13_000
    content = bytearray(b"a" * size)
    content[int(size * place)] = 0
    (changed,) = find_sources([write(tmp_path / "x", bytes(content))])
    assert changed.sample() != before
    (longer,) = find_sources([write(tmp_path / "x", b"a" * (size + 1))])
    assert longer.sample() != before


def test_with_one_split_nothing_is_read(tmp_path: Path) -> None:
    sources = find_sources([write(tmp_path / "x", "text")])
    (tmp_path / "x").unlink()
    assert SplitOf({"train": 1.0}).documents(sources) == ["train"]
