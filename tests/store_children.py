"""Program that prepares or trains into stores, in children that it forks: they begin at once.

    python tests/store_children.py prepare SOURCE
    python tests/store_children.py overwrite SOURCE
    python tests/store_children.py train CORPUS

For each line that it reads, an URI, it forks a child, writes the child's process number, and waits
for a line, so that it can be said before what is to kill it. Then it writes how the child ended.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from training import ROOT, tiny

from pipeline import PrepareOptions, prepare

OPTIONS = PrepareOptions(
    vocabulary="char", splits={"train": 0.9, "validation": 0.1}, shard_bytes=20_000
)
TRAINING = {
    "layers": 1,
    "units": 8,
    "steps": 6,
    "save_every": 2,
    "keep_checkpoints": 2,
    "log_every": 3,
    "eval_every": 4,
    "sample_tokens": 0,
}


class Children:
    """The program, from the outside.

    Args:
        kind: of what the children do.
        path: of what they read.
    """

    def __init__(self, kind: str, path: Path | str) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind, str(path)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, uri: str) -> int:
        """Forks a child, which waits; returns its process number."""
        return int(self._ask(uri))

    def end(self) -> int:
        """Lets the child go on; returns its exit code, negative for a signal."""
        return int(self._ask("go"))

    def run(self, uri: str) -> int:
        """Runs a child to its end; returns its exit code."""
        self.start(uri)
        return self.end()

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()

    @contextlib.contextmanager
    def running(self) -> Iterator["Children"]:
        """Ends the program afterwards."""
        try:
            yield self
        finally:
            self._process.kill()
            self._process.communicate()


def work(kind: str, path: str, uri: str) -> None:
    """What a child does."""
    if kind == "train":
        from trainer.loop import train

        train(tiny(path, uri, **TRAINING), quiet=True)
    else:
        prepare([path], uri, OPTIONS, workers=1, overwrite=kind == "overwrite")


def main(kind: str, path: str) -> None:
    """Answers lines until there are no more."""
    if kind == "train":
        import trainer.loop  # noqa: F401
    else:
        import adlfs  # noqa: F401
        import gcsfs  # noqa: F401
        import s3fs  # noqa: F401
    for line in sys.stdin:
        begin, end = os.pipe()
        child = os.fork()
        if child == 0:
            code = 0
            try:
                os.read(begin, 1)
                os.dup2(2, 1)  # what a child says is no answer
                work(kind, path, line.strip())
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\n")
                code = 70
            os._exit(code)
        print(child, flush=True)
        sys.stdin.readline()
        os.write(end, b".")
        os.close(begin)
        os.close(end)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
