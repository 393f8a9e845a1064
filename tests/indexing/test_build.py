"""Building: the same index by any number of workers, kept where it was stopped, never spoilt."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from corpora import files, flip, write
from samples import dataset
from terminal import ENVIRONMENT, run_program
from tfrecords import contents_of, slow_offsets, write_records

from pipeline import OptionError, UserError, index_records, open_index
from pipeline.indexing import parts
from pipeline.indexing.parts import FOLDER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        write_records(tmp_path / "in" / f"x-{number:02}", contents_of(7 * number, seed=number))
    return tmp_path / "in"


def build(folder: Path, output: Path, **options: Any) -> dict[str, bytes]:
    """Indexes the files, and returns those of the index."""
    index_records([folder / "x-*"], output, **{"workers": 1, **options})
    return files(output)


@pytest.mark.parametrize("workers", [1, 3, None])
def test_it_is_the_same_by_any_number_of_workers(
    folder: Path, tmp_path: Path, workers: int | None
) -> None:
    straight = build(folder, tmp_path / "straight")
    assert build(folder, tmp_path / "out", workers=workers) == straight
    index = open_index(tmp_path / "out")
    expected = [slow_offsets(contents_of(7 * number, seed=number)) for number in range(12)]
    assert [index.offsets_of(number).tolist() for number in range(12)] == expected
    assert len(index) == 7 * 66


def test_the_files_are_numbered_as_they_are_given(folder: Path, tmp_path: Path) -> None:
    given = [folder / "x-05", folder / "x-0[1-3]"]
    index = index_records(given, tmp_path / "out", workers=1)
    names = [os.path.basename(file.path) for file in index.files]
    assert names == ["x-05", "x-01", "x-02", "x-03"]
    assert index.first_records.tolist() == [0, 35, 42, 56, 77]


def test_the_same_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    straight = build(folder, tmp_path / "out")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert build(folder, tmp_path / "out") == straight
    assert build(folder, tmp_path / "out", overwrite=True) == straight
    assert times == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    read: list[str] = []
    original = parts.record_offsets

    def recording(walked: Any, advance: Any) -> Any:
        read.append(os.path.basename(walked.path))
        return original(walked, advance)

    monkeypatch.setattr(parts, "record_offsets", recording)
    return read


def test_other_files_are_refused_or_replace_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    straight = build(folder, output)

    def refused(message: str, **options: Any) -> None:
        with pytest.raises(UserError, match=rf"holds another index: .*{message}.*`--overwrite`$"):
            build(folder, output, **options)
        assert files(output) == straight

    refused("it was made without `--check`", check=True)
    write_records(folder / "x-99", [b"new"])
    refused("/x-99 is new")
    (folder / "x-99").unlink()
    (folder / "x-03").rename(folder / "y")
    refused("/x-03 is not named now")
    (folder / "y").rename(folder / "x-03")
    assert build(folder, output) == straight
    write_records(folder / "x-05", [b"other"])
    refused("/x-05 has changed since")
    write_records(folder / "x-99", [b"new"])
    read = read_files(monkeypatch)
    replaced = build(folder, output, overwrite=True)
    assert sorted(read) == ["x-05", "x-99"], "what has not changed is not read again"
    assert replaced == build(folder, tmp_path / "straight")


def test_the_order_of_the_files_counts(folder: Path, tmp_path: Path) -> None:
    index_records([folder / "x-01", folder / "x-02"], tmp_path / "out")
    with pytest.raises(UserError, match="the files come in another order"):
        index_records([folder / "x-02", folder / "x-01"], tmp_path / "out")


def test_what_was_checked_is_not_checked_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(folder, tmp_path / "out", check=True)
    assert open_index(tmp_path / "out").checked
    read = read_files(monkeypatch)
    build(folder, tmp_path / "out")
    write_records(folder / "x-99", [b"new"])
    build(folder, tmp_path / "out", check=True, overwrite=True)
    assert read == ["x-99"]
    assert open_index(tmp_path / "out").checked
    build(folder, tmp_path / "fast")
    build(folder, tmp_path / "fast", check=True, overwrite=True)
    assert len(read) == 1 + 13 + 13


def test_a_stopped_one_goes_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = build(folder, tmp_path / "straight")
    whole = (folder / "x-00").read_bytes(), (folder / "x-00").stat()
    write(folder / "x-00", b"no records")  # the smallest file is the last one to be read
    output = tmp_path / "out"
    with pytest.raises(UserError, match="x-00: record 0 at byte 0: it takes at least 12 bytes"):
        build(folder, output)
    assert len(list((output / FOLDER).glob("*.json"))) == 11
    with pytest.raises(UserError, match=r"is no index: it has no index\.json"):
        open_index(output)
    entries = sorted((output / FOLDER).glob("*.json"))
    flip(entries[0], 100)
    flip(entries[1].with_suffix(".offsets"), 8)
    entries[2].write_text("")
    entries[3].with_suffix(".offsets").unlink()
    write(folder / "x-00", whole[0])
    os.utime(folder / "x-00", ns=(whole[1].st_atime_ns, whole[1].st_mtime_ns))
    read = read_files(monkeypatch)
    assert build(folder, output) == straight
    assert len(read) == 4 + 1


def start(folder: Path, output: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipeline", "index", str(folder / "x-*"), "--output"]
    return subprocess.Popen(
        [*command, str(output), "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def test_killed_and_resumed(tmp_path: Path) -> None:
    """By kill -9, in the midst of it."""
    folder, output = tmp_path / "in", tmp_path / "out"
    for number in range(400):
        write_records(folder / f"x-{number:03}", contents_of(50 + number))
    straight = build(folder, tmp_path / "straight")
    process = start(folder, output)
    deadline = time.monotonic() + 60
    while len(list((output / FOLDER).glob("*.json"))) < 20 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (output / "index.json").exists()
    time.sleep(0.3)  # workers end with their parent
    kept = {path.name: path.stat().st_mtime_ns for path in (output / FOLDER).glob("*.json")}
    assert 20 <= len(kept) < 400
    process = start(folder, output)
    while len(list((output / FOLDER).glob("*.json"))) <= len(kept) and process.poll() is None:
        time.sleep(0.001)
    now = {path.name: path.stat().st_mtime_ns for path in (output / FOLDER).glob("*.json")}
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert kept.items() <= now.items() or not now
    assert out.startswith(f"made the index {output}: 400 files, ")
    assert files(output) == straight


@pytest.mark.parametrize("point", ["unlink", "offsets.npy", "index.json", "rmtree"])
def test_stopped_while_it_replaces_another(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """The old one or the new one, or an unfinished one that the same command finishes."""
    output = tmp_path / "out"
    build(folder, output)
    write_records(folder / "x-99", [b"new"])
    straight = build(folder, tmp_path / "straight")
    program = f"""
import os, shutil
from pipeline import index_records
name = {point!r}
def dying(original):
    def call(*arguments, **options):
        if name in ("unlink", "rmtree") or str(arguments[1]).endswith(name):
            os.kill(os.getpid(), 9)
        return original(*arguments, **options)
    return call
if name == "unlink":
    original_unlink = os.unlink
    def unlink(path, **options):
        if str(path).endswith("index.json"):
            os.kill(os.getpid(), 9)
        original_unlink(path, **options)
    os.unlink = unlink
elif name == "rmtree":
    shutil.rmtree = dying(shutil.rmtree)
else:
    os.replace = dying(os.replace)
index_records([{str(folder / "x-*")!r}], {str(output)!r}, workers=1, overwrite=True)
"""
    result = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, check=False)
    assert result.returncode == -signal.SIGKILL
    if point == "unlink":
        assert len(open_index(output)) == 7 * 66, "the old one, as it was"
        assert build(folder, output, overwrite=True) == straight
    else:
        assert (output / "index.json").exists() == (point == "rmtree")
        assert build(folder, output) == straight


def test_a_file_that_changes_meanwhile(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = parts.record_offsets

    def changing(walked: Any, advance: Any) -> Any:
        yield from original(walked, advance)
        if walked.path.endswith("x-04"):
            os.utime(walked.path, ns=(0, 0))

    monkeypatch.setattr(parts, "record_offsets", changing)
    with pytest.raises(UserError, match="x-04 changed while it was being indexed; index it again"):
        build(folder, tmp_path / "out")


def test_no_record_at_all(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, b"")
    with pytest.raises(UserError, match=r"no record in 2 files, such as .*/a; nothing to index"):
        index_records([tmp_path / "?"], tmp_path / "out")
    write_records(tmp_path / "c", [b""])
    assert len(index_records([tmp_path / "?"], tmp_path / "out")) == 1


def test_who_holds_it_is_named(folder: Path, tmp_path: Path) -> None:
    program = f"""
from pipeline import UserError, index_records
try:
    index_records([{str(folder / "x-*")!r}], {str(tmp_path / "out")!r}, workers=1)
except UserError as error:
    print(error)
"""
    from pipeline.locks import held_folder

    with held_folder(tmp_path / "out", FOLDER, doing="indexed"):
        assert f"out is being indexed by process {os.getpid()} on " in run_program(program)
    assert run_program(program) == ""


def test_outputs_that_cannot_work(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "other" / "file", "text")
    for output, message in (
        (tmp_path / "other", "exists and is no index; textreel will not write among other files"),
        (tmp_path / "other" / "file", "exists and is not a directory"),
        ("hf://datasets/someone/out", "`output` must be a directory, or a URI of a store that is"),
    ):
        with pytest.raises(UserError, match=message):
            index_records([folder / "x-*"], output)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OptionError, match="`workers` must be an integer of at least 1, got 0"):
        index_records([folder / "x-*"], tmp_path / "out", workers=0)
    with pytest.raises(UserError, match="no file matches"):
        index_records([folder / "z-*"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_index_is_replaced_by_overwrite_alone(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    straight = build(folder, output)
    for name in ("index.json", "offsets.npy"):
        flip(output / name, len(straight[name]) - 2)
        with pytest.raises(UserError, match=rf"{name} is damaged"):
            build(folder, output)
        assert build(folder, output, overwrite=True) == straight


def test_uris_of_files_of_this_machine_are_their_paths(folder: Path, tmp_path: Path) -> None:
    index = index_records([f"file://{folder}/x-*"], tmp_path / "in" / "index", workers=1)
    assert index.files[3].path == str(folder / "x-03")
    straight = build(folder, tmp_path / "straight")
    assert (tmp_path / "in/index/offsets.npy").read_bytes() == straight["offsets.npy"]
    open_index(tmp_path / "in" / "index")
    (folder / "x-03").unlink()
    with pytest.raises(
        UserError, match=r"1 of the 12 files .* no such file or directory: /.*/x-03"
    ):
        open_index(tmp_path / "in" / "index")


def test_a_dataset_of_tfds(tmp_path: Path) -> None:
    """Its records by number are its examples, in its order."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = dataset(tmp_path, ["x" * (number % 13) for number in range(230)])
    index = index_records([folder / "rows-train.tfrecord*"], folder / "index", check=True)
    assert [file.num_records for file in index.files] == [50, 50, 50, 50, 30]
    builder = tfds.builder_from_directory(str(folder))
    config = tfds.ReadConfig(interleave_cycle_length=1)  # one file after the other
    dataset_in_order = builder.as_dataset(split="train", read_config=config)
    read = list(dataset_in_order.as_numpy_iterator())
    assert len(index) == len(read)
    for record, expected in enumerate(read):
        place = index.place(record)
        data = Path(place.file.path).read_bytes()[place.offset :]
        length = int.from_bytes(data[:8], "little")
        feature = tf.train.Example.FromString(data[12 : 12 + length]).features.feature
        assert feature["n"].int64_list.value == [expected["n"]] == [record]
        assert feature["text"].bytes_list.value == [expected["text"]]


def test_it_imports_no_tensorflow(folder: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from pipeline import index_records, open_index
if __name__ == "__main__":
    index_records([{str(folder / "x-*")!r}], {str(tmp_path / "out")!r}, workers=2, check=True)
    open_index({str(tmp_path / "out")!r}).check_offsets()
    assert "tensorflow" not in sys.modules
"""
    script = write(tmp_path / "program.py", program)
    subprocess.run([sys.executable, script], check=True, env=ENVIRONMENT)
    assert json.loads((tmp_path / "out/index.json").read_text())["checked"] is True
