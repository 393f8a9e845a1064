"""The journal: what it keeps, what it refuses, and who holds it."""

import errno
import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from corpora import files, flip, text, write
from resuming import OPTIONS, start, wait_for_shards
from terminal import run_program

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.files import StoreError
from pipeline.layout.manifest import FORMAT
from pipeline.preparing import journal, shards
from pipeline.preparing.engines import Advance
from pipeline.preparing.journal import WrittenShard
from pipeline.preparing.shards import ShardTask
from pipeline.text.bad_rows import BadRow, Skipped


def test_the_second_prepare_says_who_holds_the_directory(
    sources: Path, straight: dict[str, bytes], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    process = start(sources, output)
    wait_for_shards(output, process, 3)
    process.send_signal(signal.SIGSTOP)  # so that it cannot end meanwhile
    for overwrite in (False, True):
        with pytest.raises(UserError, match=rf"is being prepared by process {process.pid} on"):
            prepare([sources], output, PrepareOptions(**OPTIONS), overwrite=overwrite)
    process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    process.communicate()
    assert files(output) == straight


def stop_after(num_shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `write_shard` fail as on a full disk, in this process, after some shards."""
    original, count = shards.write_shard, iter(range(10**6))

    def failing(task: ShardTask, advance: Advance, **others: Any) -> Any:
        if next(count) >= num_shards:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(task.paths))
        return original(task, advance, **others)

    monkeypatch.setattr("pipeline.preparing.prepare.write_shard", failing)


def unfinished(
    sources: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> None:
    with monkeypatch.context() as context:
        stop_after(3, context)
        with pytest.raises(OSError, match="No space left"):
            prepare([sources], output, PrepareOptions(**{**OPTIONS, **options}), workers=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_bytes": 10_000}, "`shard_bytes` was 20000, now 10000"),
        ({"vocabulary": "byte"}, "`vocabulary` was char, now byte"),
        ({"splits": {"train": 1.0}}, "`splits` was"),
    ],
)
def test_other_options_are_refused(
    sources: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    message: str,
) -> None:
    output = tmp_path / "out"
    unfinished(sources, output, monkeypatch)
    before = files_below(output)
    with pytest.raises(UserError, match=message):
        prepare([sources], output, PrepareOptions(**{**OPTIONS, **options}))
    assert files_below(output) == before


def files_below(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_changed_sources_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    for name in "abc":
        write(folder / name, text(30_000))
    unfinished(folder, output, monkeypatch)
    write(folder / "b", text(30_000, seed=5))
    os.utime(folder / "b", (0, 0))
    with pytest.raises(UserError, match="source b has changed since"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    write(folder / "d", "x")
    (folder / "b").unlink()
    with pytest.raises(UserError, match="source b is missing now"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    write(folder / "b", "x")
    with pytest.raises(UserError, match="source b has changed since"):
        prepare([folder], output, PrepareOptions(**OPTIONS))
    prepare([folder], output, PrepareOptions(**OPTIONS), overwrite=True)
    prepare([folder], tmp_path / "fresh", PrepareOptions(**OPTIONS))
    assert files(output) == files(tmp_path / "fresh")


def test_the_vocabulary_is_not_counted_again(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(sources, tmp_path / "out", monkeypatch)
    monkeypatch.setattr("pipeline.preparing.prepare.make_vocabulary", None)
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


def test_stopped_between_manifest_and_end(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as context:
        context.setattr(journal, "end", lambda directory: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert open_corpus(tmp_path / "out").splits
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


def test_a_damaged_journal_entry_is_as_good_as_none(
    sources: Path,
    straight: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unfinished(sources, tmp_path / "out", monkeypatch)
    entries = sorted((tmp_path / "out" / journal.FOLDER).glob("*tfrecord*.json"))
    entries[0].write_text("")
    entries[1].write_text(json.dumps({"blake3": "x"}))
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS))
    assert files(tmp_path / "out") == straight


def test_an_entry_vouches_for_the_file_that_it_was_written_for(tmp_path: Path) -> None:
    path = write(tmp_path / "shard", b"content")
    assert journal.finished(str(path)) is None
    written = WrittenShard(
        num_tokens=7,
        num_records=1,
        num_bytes=7,
        blake3="3fba5250be9ac259c56e7250c526bc83bacb4be825f2799d3d59e5b4878dd74e",
        num_text_bytes=5,
        documents=(1, 0, 2),
    )
    (tmp_path / journal.FOLDER).mkdir()
    journal.record(str(path), written)
    assert journal.finished(str(path)) == written
    flip(path, 0)
    assert journal.finished(str(path)) is None
    path.unlink()
    assert journal.finished(str(path)) is None


def test_whoever_enters_finds_no_leftovers_and_is_alone(tmp_path: Path) -> None:
    """Also in its process: a lock of the file system does not tell threads apart."""
    other = write(tmp_path / journal.FOLDER / "shard.elsewhere-1-2.incomplete", "x")
    with journal.locked(tmp_path):
        assert not other.exists()
        with (
            pytest.raises(UserError, match="is being prepared by this process"),
            journal.locked(tmp_path),
        ):
            pass
    with journal.locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_other_process_enters(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from pipeline.errors import UserError
from pipeline.preparing import journal
try:
    with journal.locked(Path({str(tmp_path)!r})):
        print("entered")
except UserError as error:
    print(error)
"""
    with journal.locked(tmp_path):
        assert f"is being prepared by process {os.getpid()} on " in run_program(program)
    assert run_program(program) == "entered\n"


def test_a_directory_in_which_nothing_was_made_is_not_left(tmp_path: Path) -> None:
    with journal.locked(tmp_path / "new"):
        assert (tmp_path / "new").exists()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_nothing_is_prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    message = r"the file system has no locks \(no locks\), .*another file system"
    with pytest.raises(UserError, match=message), journal.locked(tmp_path):
        pass


BEGUN: dict[str, Any] = {
    "format": FORMAT,
    "options": {"shard_bytes": 1},
    "sources": [["a", 3, 7], ["b", 4, 8]],
}


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ({"format": FORMAT + 1}, "a textreel of another version cuts text elsewhere"),
        ({"options": {"shard_bytes": 2}}, "`shard_bytes` was 1, now 2"),
        ({"options": {"new_option": 2}}, "`new_option` was not given, now 2"),
        ({"sources": [["a", 3, 7]]}, "source b is missing now"),
        ({"sources": [["a", 3, 7], ["b", 4, 8], ["c", 5, 9]]}, "source c is new"),
        ({"sources": [["a", 3, 7], ["b", 5, 8]]}, "source b has changed since"),
        ({"sources": [["a", 3, 7], ["b", 4, 9]]}, "source b has changed since"),
        ({"sources": [["b", 4, 8], ["a", 3, 7]]}, "the sources come in another order"),
    ],
)
def test_what_was_begun_otherwise_is_protected_where_some_of_it_is_finished(
    tmp_path: Path, now: dict[str, Any], message: str
) -> None:
    assert journal.vocabulary_of(tmp_path, BEGUN) is None
    journal.begin(tmp_path, BEGUN, "f00")
    assert (journal.vocabulary_of(tmp_path, BEGUN), journal.is_same(tmp_path, BEGUN)) == ("f00", 1)
    changed = BEGUN | now
    assert journal.vocabulary_of(tmp_path, changed) is None
    assert not journal.is_same(tmp_path, changed)
    written = WrittenShard(
        num_tokens=1, num_records=1, num_bytes=1, blake3="", num_text_bytes=1, documents=()
    )
    journal.record(str(tmp_path / "shard"), written)
    with pytest.raises(UserError, match=f"begun otherwise: {message}; 1 shard finished, nothing"):
        journal.vocabulary_of(tmp_path, changed)
    journal.forget(tmp_path)
    assert not journal.is_same(tmp_path, BEGUN)


@pytest.fixture
def stored(tmp_path: Path) -> str:
    """A place in a store."""
    return f"disk:/{tmp_path}/out"


def test_in_a_store_the_first_of_two_prepares_begins(stored: str) -> None:
    with journal.locked(stored), journal.locked(stored):  # there is no lock
        journal.begin(stored, {"options": {}}, "v")
        journal.begin(stored, {"options": {}}, "v")  # the same plan: they help each other
        with pytest.raises(UserError, match="another prepare, of other options or sources, has ju"):
            journal.begin(stored, {"options": {"name": "other"}}, "v")
    assert journal.begun(stored) == {"options": {}, "vocabulary": "v"}
    journal.end(stored)
    assert journal.begun(stored) is None


def test_in_a_store_a_finished_shard_is_known_by_its_size(stored: str, tmp_path: Path) -> None:
    path = f"{stored}/shard"
    written = WrittenShard(
        num_tokens=3,
        num_records=1,
        num_bytes=4,
        blake3="ab",
        num_text_bytes=3,
        documents=(1,),
        skipped={"x.jsonl": Skipped(num_rows=2, first=(BadRow(7, "byte", "not UTF-8"),))},
    )
    journal.record(path, written)
    assert journal.finished(path) is None
    write(tmp_path / "out/shard", b"1234")
    assert journal.finished(path) == written
    write(tmp_path / "out/shard", b"123")
    assert journal.finished(path) is None
    assert journal.temporary_path(path).startswith(f"{stored}/.prepare/shard.")


def test_a_store_that_fails_is_not_taken_for_one_without_a_journal(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> None:
        raise StoreError(f"{path} cannot be read")

    monkeypatch.setattr(journal, "read_sealed", fail)
    with pytest.raises(StoreError, match="cannot be read"):
        journal.begun(stored)
