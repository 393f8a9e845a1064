"""File systems that lack something, or have no room: prepare makes a whole corpus, or says why not.

They are simulated by a library that is preloaded (`odd_file_system.c`), and by a small tmpfs.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpora import files, write
from terminal import ENVIRONMENT, ROOT

from pipeline.auditing.verify import verify

TRAIN = ("--splits", "train=1")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("odd file systems are simulated on Linux, with a C compiler")
    built = tmp_path_factory.mktemp("library") / "odd.so"
    source = ROOT / "tests/odd_file_system.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return built


def prepare_on(
    library: Path | None, odd: object, *arguments: object, path: str = "", given: bytes = b""
) -> "subprocess.CompletedProcess[str]":
    environment = {**ENVIRONMENT, "ODD": str(odd)}
    if library is not None:
        environment["LD_PRELOAD"] = str(library)
    if path:
        environment["ODD_PATH"] = path
    result = subprocess.run(
        [sys.executable, "-m", "pipeline", "prepare", *map(str, arguments)],
        capture_output=True,
        input=given,
        env=environment,
        check=False,
    )
    output, said = result.stdout.decode(), result.stderr.decode()
    assert "Traceback" not in said
    return subprocess.CompletedProcess(result.args, result.returncode, output, said)


def two_texts(folder: Path) -> Path:
    write(folder / "sources/a.txt", "one\n" * 2000)
    write(folder / "sources/inner/b.txt", "two\n" * 2000)
    return folder / "sources"


@pytest.mark.parametrize("odd", ["nodirsync", "noinodes"])
def test_what_a_file_system_lacks_changes_no_byte(tmp_path: Path, library: Path, odd: str) -> None:
    sources = two_texts(tmp_path)
    for name, what in (("straight", ""), ("odd", odd)):
        result = prepare_on(library, what, sources, "--output", tmp_path / name, *TRAIN)
        assert result.returncode == 0, result.stderr
    assert files(tmp_path / "odd") == files(tmp_path / "straight")


def test_without_inodes_one_file_is_still_found_twice(tmp_path: Path, library: Path) -> None:
    sources = two_texts(tmp_path)
    (tmp_path / "link.txt").symlink_to(sources / "a.txt")
    given = (sources / "a.txt", tmp_path / "link.txt", "--output", tmp_path / "out")
    result = prepare_on(library, "noinodes", *given)
    assert result.returncode == 1
    assert "the same file twice: " in result.stderr


def test_without_inodes_the_output_alone_is_left_out(tmp_path: Path, library: Path) -> None:
    sources = two_texts(tmp_path)
    for _ in range(2):
        given = (sources, "--output", sources / "out", "--overwrite", *TRAIN)
        result = prepare_on(library, "noinodes", *given)
        assert result.returncode == 0, result.stderr
    assert "2 sources" in result.stdout + result.stderr


def test_without_locks_nothing_is_begun(tmp_path: Path, library: Path) -> None:
    output = tmp_path / "out"
    result = prepare_on(library, "nolocks", two_texts(tmp_path), "--output", output, *TRAIN)
    assert result.returncode == 1
    assert (
        f"error: {output}/.prepare: the file system has no locks (No locks avail" in result.stderr
    )
    assert "give an --output on another file system" in result.stderr
    assert not (output / "manifest.json").exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("number", "path", "message"),
    [
        (errno.ENOSPC, "tfrecord", "tfrecord-00000-of-00001: no space left on device; free some"),
        (errno.EDQUOT, "tfrecord", "tfrecord-00000-of-00001: disk quota exceeded; remove some"),
        (errno.EIO, "tfrecord", "tfrecord-00000-of-00001: input/output error; see to the disk"),
        (errno.ENOSPC, "plan.json", "/out/.prepare/plan.json: no space left on device; free some"),
        (errno.ENOSPC, "manifest", "/out/manifest.json: no space left on device; free some space"),
        (errno.ENOSPC, ".prepare/lock", "/out/.prepare/lock: no space left on device; free some"),
    ],
)
def test_a_write_that_fails_names_the_file_and_can_be_done_again(
    tmp_path: Path, library: Path, number: int, path: str, message: str, workers: int
) -> None:
    given = (two_texts(tmp_path), "--output", tmp_path / "out", *TRAIN, "--workers", workers)
    result = prepare_on(library, number, *given, path=path)
    assert result.returncode == 1
    (line,) = (line for line in result.stderr.splitlines() if "error:" in line)
    assert message in line
    assert not (tmp_path / "out/manifest.json").exists()
    assert prepare_on(None, "", *given).returncode == 0
    assert verify(tmp_path / "out").problems == ()
    assert not (tmp_path / "out/.prepare").exists()


def test_standard_input_that_finds_no_room_is_named(tmp_path: Path, library: Path) -> None:
    given = ("-", "--output", tmp_path / "out", *TRAIN)
    result = prepare_on(
        library, errno.ENOSPC, *given, path=str(tmp_path / "out"), given=b"text\n" * 10**6
    )
    assert result.returncode == 1
    assert f"error: {tmp_path}/out/.prepare/" in result.stderr
    assert ": no space left on device; free some space, then run the same" in result.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount).returncode:
        pytest.skip("only root mounts a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    source = write(tmp_path / "a.txt", b"text\n" * 250_000)
    padding = write(small_disk / "padding", bytes(1_200_000))
    given = (source, "--output", small_disk / "out", "--shard_bytes", "400000", *TRAIN)
    result = prepare_on(None, "", *given, "--workers", 1)
    assert result.returncode == 1
    assert f"error: {small_disk}/out/text-train.tfrecord-0000" in result.stderr
    assert ": no space left on device; free some space, then run the" in result.stderr
    padding.unlink()
    assert prepare_on(None, "", *given).returncode == 0
    assert verify(small_disk / "out").problems == ()


def test_a_file_system_that_is_read_only(tmp_path: Path, small_disk: Path) -> None:
    source = write(tmp_path / "a.txt", b"text\n")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    result = prepare_on(None, "", source, "--output", small_disk / "out")
    assert result.returncode == 1
    assert f"cannot be written: a read-only file system holds {small_disk};" in result.stderr
