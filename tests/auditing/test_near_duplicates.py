"""Near-duplicates, against the exact index of every pair."""

import random
from pathlib import Path
from typing import Any

import pytest
from corpora import documents, prepared, text, write
from edits import edited, jaccard, sentence
from samples import json_lines
from terminal import textreel, textreel_without

from pipeline import Corpus, UserError
from pipeline.auditing.near_duplicates import find_near_duplicates

SPLITS = {"train": 0.6, "validation": 0.25, "test": 0.15}


def make(folder: Path, **options: Any) -> Corpus:
    """Originals, copies with 5% and 20% of their words changed, and texts of their own."""
    source = random.Random(1)
    for number in range(60):
        content = sentence(source, source.choice([40, 150, 500]))
        write(folder / f"in/{number}.txt", content)
        write(folder / f"in/{number} with few changes.txt", edited(source, content, 0.05))
        write(folder / f"in/{number} with more.txt", edited(source, content, 0.2))
        write(folder / f"in/another {number}.txt", sentence(source, 200))
    return prepared(folder, folder / "in", splits=SPLITS, shard_bytes=20_000, **options)


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_what_is_alike_is_found_and_nothing_else(tmp_path: Path, vocabulary: str) -> None:
    corpus = make(tmp_path, vocabulary=vocabulary)
    texts = {split: [t.decode() for t in documents(corpus, split)] for split in corpus.splits}
    found = find_near_duplicates(corpus.directory, num_shown=1000)
    assert find_near_duplicates(corpus.directory, num_shown=1000, workers=3) == found
    assert found.num_passages == {split: len(texts[split]) for split in ("validation", "test")}
    contents = {path.name: path.read_text() for path in (tmp_path / "in").iterdir()}
    named = {}
    for near in found.most_similar:
        own, other = (contents[place.passage.source] for place in (near.place, near.other))
        assert abs(near.similarity - jaccard(own, other)) < 0.2
        assert (near.place.passage.start, near.other.passage.start) == (0, 0)
        assert own.encode()[: near.place.passage.stop].decode() == own.rstrip("\n")
        named[near.place.split, own] = near.similarity
        assert other in texts[near.other.split]
    assert len(named) == len(found.most_similar) == sum(found.num_found.values())
    similarities = [near.similarity for near in found.most_similar]
    assert similarities == sorted(similarities, reverse=True)
    larger = {"validation": texts["train"], "test": texts["train"] + texts["validation"]}
    num_sure = 0
    for split, others in larger.items():
        for own in texts[split]:
            exact = max(jaccard(own, other) for other in others)
            num_sure += exact > 0.65
            assert exact < 0.65 or (split, own) in named
            assert exact > 0.35 or (split, own) not in named
    assert num_sure > 15


def test_a_passage_of_a_long_document_is_found(tmp_path: Path) -> None:
    """A chapter that another book quotes, and a book whose every page was revised."""
    source = random.Random(2)
    books = [sentence(source, 20_000) for _ in range(30)]
    chapter = " ".join(books[0].split(" ")[8000:12_000])
    books[1] = sentence(source, 4000) + chapter + sentence(source, 3000)
    books[2] = edited(source, books[3], 0.05)
    for number, content in enumerate(books):
        write(tmp_path / f"in/{number}", content)
    corpus = prepared(tmp_path, tmp_path / "in", splits={"train": 0.6, "validation": 0.4})
    manifest = corpus.manifest
    split_of = {
        manifest.sources[piece.source_index].name: split
        for split in manifest.splits
        for shard in manifest.splits[split].shards
        for piece in shard.pieces
    }
    found = find_near_duplicates(corpus.directory, num_shown=10_000)
    pairs = {
        tuple(sorted((int(near.place.passage.source), int(near.other.passage.source))))
        for near in found.most_similar
    }
    expected = {pair for pair in ((0, 1), (2, 3)) if len({split_of[str(n)] for n in pair}) == 2}
    assert pairs == expected != set()
    for near in found.most_similar:
        own, other = (
            books[int(place.passage.source)].encode()[place.passage.start : place.passage.stop]
            for place in (near.place, near.other)
        )
        assert abs(near.similarity - jaccard(own.decode(), other.decode())) < 0.2


def test_rows_are_named(tmp_path: Path) -> None:
    source = random.Random(3)
    rows = [sentence(source, 60) for _ in range(100)]
    rows += [edited(source, row, 0.03) for row in rows]
    path = json_lines(tmp_path / "x.jsonl", rows)
    halves = {"train": 0.5, "validation": 0.5}
    corpus = prepared(tmp_path, path, splits=halves, text_field="text", vocabulary="char")
    found = find_near_duplicates(corpus.directory, num_shown=100)
    split = next(iter(found.num_found))
    held_out = [each.decode() for each in documents(corpus, split)]
    assert 30 < found.num_found[split] < 70
    for near in found.most_similar:
        number = int(near.place.passage.document.split()[1])
        place = near.place.passage
        assert max(jaccard(held_out[number], row) for row in rows if row != held_out[number]) > 0.5
        assert held_out[number].encode()[place.start : place.stop].startswith(b"word")


def test_one_split_has_no_other(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, write(tmp_path / "x", text(1000)), splits={"train": 1.0})
    found = find_near_duplicates(corpus.directory)
    assert (found.num_passages, found.num_found, found.most_similar) == ({}, {}, ())


def test_the_command_fails_where_there_are_any(tmp_path: Path) -> None:
    corpus = make(tmp_path)
    result = textreel("verify", corpus.directory, "--near_duplicates")
    assert result.returncode == 1
    near = find_near_duplicates(corpus.directory)
    assert (
        f"near-duplicates: of {near.num_passages['test']} passages of test, "
        f"{near.num_found['test']} in a larger split" in result.stdout
    )
    first = near.most_similar[0]
    assert (
        f"  {first.similarity:.0%}: {first.place.split}, {first.place.passage.source} bytes 0-"
        in (result.stdout)
    )
    total = sum(near.num_found.values())
    assert f"… and {total - 10:,} more" in result.stdout
    assert f"({total} of them): take the copies out of the sources" in result.stderr
    assert "`--glob`" in result.stderr
    for index in range(100):
        write(tmp_path / f"own/{index}", sentence(random.Random(index), 100))
    prepared(tmp_path / "2", tmp_path / "own", splits={"train": 0.8, "test": 0.2})
    result = textreel("verify", tmp_path / "2/corpus", "--near_duplicates")
    assert (result.returncode, result.stderr) == (0, "")
    assert " passages of test, 0 in a larger split" in result.stdout
    result = textreel_without("rensa", "verify", corpus.directory, "--near_duplicates")
    assert result.returncode == 1
    assert "pip install 'textreel[duplicates]'" in result.stderr


def test_a_damaged_corpus_is_named_first(tmp_path: Path) -> None:
    corpus = make(tmp_path)
    shard = corpus.splits["train"].shards[0]
    path = Path(corpus.directory, shard.file)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError):
        find_near_duplicates(corpus.directory)
    result = textreel("verify", corpus.directory, "--near_duplicates")
    assert result.returncode == 1
    assert "is damaged, 1 shard of it" in result.stderr
    assert "Traceback" not in result.stderr
