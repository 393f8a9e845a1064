"""A task -> its files: whole, the same however often, and kept where they are right."""

import hashlib
import itertools
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from corpora import documents, files, text, write
from samples import json_lines, parquet
from terminal import textreel

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.preparing.plan import make_plan
from pipeline.preparing.shards import ShardTask, make_tasks, write_shard
from pipeline.preparing.splits import SplitOf
from pipeline.text.sources import find_sources
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary

BYTES = ByteVocabulary()
SPLITS = {"train": 0.5, "test": 0.5}
ROWS = ["one", "", "zwei\r\n", "三つ", "one"] * 20


def ignore(num_bytes: int) -> None:
    pass


def tasks_of(folder: Path, path: Path, **chosen: Any) -> list[ShardTask]:
    options = PrepareOptions(**{"splits": SPLITS, "record_tokens": 50, **chosen})
    plan = make_plan(find_sources([path], reading=options.reading).sources, options)
    (folder / "out").mkdir(exist_ok=True)
    return make_tasks(plan, options, folder / "out")


def shards_in(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files_in(folder).items() if "tfrecord" in name}


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_task_is_a_shard_of_each_split_that_is_written_together(tmp_path: Path) -> None:
    source = write(tmp_path / "x", text(3000))
    tasks = tasks_of(tmp_path, source, shard_bytes=1000)
    assert [list(task.paths) for task in tasks] == [["train"]] * 2 + [["test"]] * 2
    assert [Path(path).name for task in tasks for path in task.paths.values()] == [
        f"text-{split}.tfrecord-0000{index}-of-00002" for split in SPLITS for index in range(2)
    ]
    rows = tasks_of(tmp_path, json_lines(tmp_path / "x.jsonl", ROWS), text_field="text")
    assert [list(task.paths) for task in rows] == [["train", "test"]]
    assert sum(task.source_bytes for task in tasks) == source.stat().st_size
    assert pickle.loads(pickle.dumps(rows[0])).paths == rows[0].paths


def test_documents_go_where_their_hash_says(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, json_lines(tmp_path / "x.jsonl", ROWS), text_field="text")
    done: list[int] = []
    written = write_shard(task, done.append, vocabulary=BYTES)
    split_of = SplitOf(SPLITS)
    for split, shard in written.items():
        own = [row.encode() for row in ROWS if split_of(row.encode()) == split]
        assert shard.documents == (len(own),)
        assert shard.num_text_bytes == sum(map(len, own))
        assert shard.num_tokens == shard.num_text_bytes + len(own)
    assert 0 < sum(done) <= task.source_bytes
    assert sum(sum(shard.documents) for shard in written.values()) == len(ROWS)


MANY_ROWS = [text(number % 97, seed=number) for number in range(3000)] + [text(200_000), ""]
DIGESTS = {
    ("jsonl", "byte"): "a0bfbf99855dec82",
    ("jsonl", "char"): "68386cbe9e52a44e",
    ("array", "byte"): "7f1c6d8895ff7ce3",
    ("array", "char"): "6f985468e7bd7e1f",
    ("line", "byte"): "7241268ec2b6fb1f",
    ("line", "char"): "8ae0733f04719338",
    ("blank_line", "byte"): "19dbd5b98ee4ce2e",
    ("blank_line", "char"): "7054b7c5bcbd1af7",
    ("parquet", "byte"): "b804eb3c23d7ca89",
    ("parquet", "char"): "6dbc6432cc0271bf",
}


@pytest.mark.parametrize(("kind", "vocabulary"), DIGESTS)
def test_the_bytes_of_rows_are_fixed_for_all_time(
    tmp_path: Path, kind: str, vocabulary: str
) -> None:
    """A digest of all shards, as they were when rows were read and encoded one by one."""
    chosen = {"text_field": "text"}
    if kind == "parquet":
        source = parquet(tmp_path / "x.parquet", MANY_ROWS, row_groups=700)
    elif kind == "jsonl":
        source = json_lines(tmp_path / "x.jsonl", MANY_ROWS)
    elif kind == "array":
        source = write(tmp_path / "x.json", json.dumps([{"text": row} for row in MANY_ROWS]))
    else:
        source = write(tmp_path / "x.txt", "\n\n".join(MANY_ROWS))
        chosen = {"document": kind}
    given = {**chosen, "splits": SPLITS, "shard_bytes": 70_000, "vocabulary": vocabulary}
    prepare([source], tmp_path / "corpus", PrepareOptions(**given), workers=1)
    shards = sorted(shards_in(tmp_path / "corpus").items())
    assert (
        hashlib.sha256(b"".join(data for _, data in shards)).hexdigest()[:16]
        == (DIGESTS[kind, vocabulary])
    )


@pytest.mark.campaign
def test_a_million_rows(tmp_path: Path) -> None:
    """All are there, each once, where its hash says."""
    rows = [f"{number} {'naïve row ' * (number % 5)}" for number in range(10**6)]
    source = json_lines(tmp_path / "x.jsonl", rows)
    given = (source, "--text_field", "text", "--splits", "train=0.9,validation=0.1")
    result = textreel("prepare", *given, "--output", tmp_path / "corpus", "--workers", 2)
    assert result.returncode == 0, result.stderr
    shares = {"train": 0.9, "validation": 0.1}
    indices = SplitOf(shares).indices([row.encode() for row in rows])
    for index, split in enumerate(shares):
        chosen = [row.encode() for row in itertools.compress(rows, indices == index)]
        assert documents(open_corpus(tmp_path / "corpus"), split) == chosen


def test_to_run_a_task_again_keeps_what_is_right(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, json_lines(tmp_path / "x.jsonl", ROWS), text_field="text")
    written = write_shard(task, ignore, vocabulary=BYTES)
    before = shards_in(tmp_path / "out")
    times = {path: Path(path).stat().st_mtime_ns for path in task.paths.values()}
    done: list[int] = []
    assert write_shard(task, done.append, vocabulary=BYTES) == written
    assert done == [task.source_bytes]
    assert times == {path: Path(path).stat().st_mtime_ns for path in task.paths.values()}
    for damage in damages():
        damage(Path(task.paths["test"]))
        assert write_shard(task, ignore, vocabulary=BYTES) == written
        assert shards_in(tmp_path / "out") == before


def damages() -> list[Callable[[Path], object]]:
    return [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
        lambda path: (path.parent / ".prepare" / f"{path.name}.json").unlink(),
    ]


def test_no_file_appears_where_one_fails(tmp_path: Path) -> None:
    """A character that the vocabulary lacks, in the last of many rows."""
    rows = json_lines(tmp_path / "x.jsonl", [*ROWS, "Q"])
    (task,) = tasks_of(tmp_path, rows, text_field="text")
    known = CharVocabulary([ord(character) for character in set("".join(ROWS))])
    with pytest.raises(UserError, match=r"x\.jsonl, line 101: characters .* lacks: 'Q'"):
        write_shard(task, ignore, vocabulary=known)
    assert files_in(tmp_path / "out") == {}
    assert files(tmp_path / "out/.prepare") == {}


def test_a_part_of_a_document_has_no_separator_but_a_range_has(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, write(tmp_path / "x", text(3000)), shard_bytes=1000)
    written = [
        shard for task in tasks for shard in write_shard(task, ignore, vocabulary=BYTES).values()
    ]
    assert [shard.documents for shard in written] == [(0,), (1,), (0,), (1,)]
    assert [shard.num_tokens - shard.num_text_bytes for shard in written] == [0, 1, 0, 1]
