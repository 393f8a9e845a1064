"""Program that makes a small prepare or repair fail at each of its file operations, one by one.

    python tests/fault_points.py SCENARIO FAULT STRIDE DIRECTORY

A first run counts the operations: files opened for writing, writes, fsyncs, renames, unlinks,
directories. Then, for every STRIDE-th of them: the scenario runs in a child in which just that
operation fails, by the fault (`kill`: the process dies before it; `ENOSPC`, `EIO`: it raises);
then it runs again, whole. It prints what went wrong, one line each, and how many points there were.
"""

import builtins
import errno
import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import PrepareOptions, UserError, prepare
from pipeline.auditing.repair import repair

REAL_OPEN = builtins.open
HOOKED = ("replace", "rename", "unlink", "fsync", "mkdir", "rmdir")
SPLITS = {"train": 0.8, "validation": 0.2}


class Fault:
    """Counts file operations, and fails at one of them."""

    def __init__(self, point: int, kind: str) -> None:
        self.point, self.kind, self.count = point, kind, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.point:
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(getattr(errno, self.kind), os.strerror(getattr(errno, self.kind)))

    def install(self) -> None:
        for name in HOOKED:
            setattr(os, name, self.counted(getattr(os, name)))
        builtins.open = self.open  # type: ignore[assignment]

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step()
            return function(*arguments, **options)

        return call

    def open(self, path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+"):
            return REAL_OPEN(path, mode, *arguments, **options)
        self.step()
        return Writing(REAL_OPEN(path, mode, *arguments, **options), self)


class Writing:
    """A file whose writes count."""

    def __init__(self, file: Any, fault: Fault) -> None:
        self._file, self._fault = file, fault

    def write(self, data: Any) -> Any:
        self._fault.step()
        return self._file.write(data)

    def __enter__(self) -> "Writing":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def write_sources(root: Path) -> None:
    for name, text in {"old/a.txt": "old text\n" * 100, "new/a.txt": "new text!\n" * 300}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "new/b.txt").write_text("zwei\n" * 200)
    rows = "".join(f'{{"text": "row {number}"}}\n' for number in range(40))
    (root / "rows.jsonl").write_text(rows)


def text(root: Path) -> None:
    options = PrepareOptions(vocabulary="char", shard_bytes=1000, splits=SPLITS)
    prepare([root / "new"], root / "corpus", options, workers=1)


def rows(root: Path) -> None:
    options = PrepareOptions(text_field="text", splits=SPLITS)
    prepare([root / "rows.jsonl"], root / "corpus", options, workers=1)


def overwrite(root: Path) -> None:
    options = PrepareOptions(vocabulary="char", shard_bytes=1000, splits=SPLITS)
    prepare([root / "new"], root / "corpus", options, workers=1, overwrite=True)


def mend(root: Path) -> None:
    repair(root / "corpus", [root / "new"], workers=1)


def old_corpus(root: Path) -> None:
    prepare([root / "old"], root / "corpus", PrepareOptions(splits=SPLITS), workers=1)


def damaged_corpus(root: Path) -> None:
    text(root)
    shard = next((root / "corpus").glob("*train.tfrecord-*"))
    data = bytearray(shard.read_bytes())
    data[50] ^= 1
    shard.write_bytes(data)
    (root / "corpus" / "features.json").unlink()


SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None] | None]] = {
    "text": (text, None),
    "rows": (rows, None),
    "overwrite": (overwrite, old_corpus),
    "repair": (mend, damaged_corpus),
}


def files(directory: Path) -> dict[str, str]:
    """The corpus's files, and their digests; not those of a journal."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.glob("*"))
        if path.is_file()
    }


def in_child(run: Callable[[Path], None], root: Path, fault: Fault | None = None) -> int:
    """Runs in a forked child; returns its exit code, negative for a signal, 70 for a defect."""
    process = os.fork()
    if process == 0:
        code = 0
        try:
            if fault is not None:
                fault.install()
            run(root)
        except (UserError, OSError) as error:
            code = 1 if str(error) else 70
        except BaseException:
            code = 70
        if fault is not None and fault.point == 0:
            REAL_OPEN(root / "count", "w").write(str(fault.count))
        os._exit(code)
    status = os.waitpid(process, 0)[1]
    return os.waitstatus_to_exitcode(status)


def main(scenario: str, kind: str, stride: int, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    run, prepared = SCENARIOS[scenario]
    corpus, before = root / "corpus", root / "before"
    write_sources(root)
    if prepared is not None:
        assert in_child(prepared, root) == 0
        shutil.copytree(corpus, before)
    whole_before = files(before) if before.exists() else None
    assert in_child(run, root, Fault(0, kind)) == 0
    expected, num_points = files(corpus), int((root / "count").read_text())
    for point in range(1, num_points + 1, stride):
        shutil.rmtree(corpus, ignore_errors=True)
        if prepared is not None:
            shutil.copytree(before, corpus)
        code = in_child(run, root, Fault(point, kind))
        if code not in ((-9,) if kind == "kill" else (0, 1)):
            print(f"point {point}: exit code {code}")
        staged = files(corpus / ".prepare/new")
        if scenario == "overwrite" and files(corpus) != whole_before:
            if (corpus / "manifest.json").exists():
                if files(corpus) != expected:
                    print(f"point {point}: neither the old corpus nor the new one")
            elif (
                "manifest.json" not in staged
                or not expected.items()
                <= {
                    **files(corpus),
                    **staged,
                }.items()
            ):
                print(f"point {point}: the old corpus is gone, and the new one is not whole")
        is_done = files(corpus) == expected
        code = in_child(run, root)
        if files(corpus) != expected or (code != 0 and not is_done):
            print(f"point {point}: the same command once more: exit code {code}")
    print(f"{num_points} points")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
