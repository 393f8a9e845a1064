"""kill -9 at the requests of a prepare into a store, and of a training: all as without a kill."""

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import corpora
import numpy as np
import pytest
import storage
from storage_proxy import Fault, Request
from store_children import OPTIONS, Children
from training import checkpoint_arrays
from training_kills import LOSSES

from pipeline import Corpus, PrepareOptions, prepare
from pipeline.files import join, names_in, read_bytes
from pipeline.preparing import journal
from trainer.reports.metrics import read_metrics
from trainer.run.checkpoint import find_checkpoint
from trainer.run.stored import readable

# Where the slices of a campaign begin and end: `KILLS=20:40`.
FIRST, END = (int(each or 10**6) for each in os.environ.get("KILLS", "0:").split(":"))


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest) -> storage.Store:
    """A store of each kind."""
    found: storage.Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    return corpora.write_many(folder / "src", num_files=5, large=60_000)


@pytest.fixture(scope="module")
def expected(texts: Path) -> dict[str, bytes]:
    """The files of the corpus, as they are on a disk."""
    prepare([texts], texts.parent / "corpus", OPTIONS, workers=1)
    return corpora.files(texts.parent / "corpus")


def kill(child: int, number: int, *, after: bool) -> Any:
    """Kills a child at a request, before the server sees it, or once it has answered."""

    def fault(request: Request) -> Fault | None:
        if request.number != number:
            return None
        return Fault(kill_after=child) if after else Fault(kill=child)

    return fault


def contents(uri: str) -> dict[str, bytes]:
    """The files of a corpus; those of a journal are left out."""
    names = [name for name in names_in(uri) if name != journal.FOLDER]
    return {name: read_bytes(join(uri, name)) for name in names}


class Preparing:
    """Prepares into a store, in a place of its own each."""

    def __init__(self, store: storage.Store, texts: Path, *, overwrite: bool) -> None:
        self._store, self._texts, self._overwrite = store, texts, overwrite
        self._outputs = (f"{store.new_bucket()}/{number}" for number in itertools.count())
        self.children = Children("overwrite" if overwrite else "prepare", texts)

    def output(self) -> str:
        """A place, with an old corpus where it is to be replaced."""
        output = next(self._outputs)
        if self._overwrite:
            prepare([self._texts], output, PrepareOptions(), workers=1)
        return output

    def count(self, expected: dict[str, bytes]) -> int:
        """The requests of one that nobody kills."""
        output = self.output()
        self._store.proxy.reset()
        assert self.children.run(output) == 0
        num_requests = len(self._store.proxy.requests)
        assert contents(output) == expected
        return num_requests

    def check(self, number: int, expected: dict[str, bytes], *, after: bool) -> None:
        """Kills one at a request, and lets the same command go on."""
        output = self.output()
        old = contents(output)
        self._store.proxy.reset()
        child = self.children.start(output)
        self._store.proxy.fault = kill(child, number, after=after)
        assert self.children.end() == -signal.SIGKILL
        self._store.proxy.reset()
        found = contents(output)
        is_whole = "manifest.json" in found
        assert not is_whole or any(
            all(found.get(name) == data for name, data in each.items()) for each in (old, expected)
        )
        if not is_whole or journal.begun(output) is not None or self._overwrite:
            assert self.children.run(output) == 0
        assert contents(output) == expected
        # What a journal has left says nothing to whoever comes next.
        assert journal.begun(output) is None


def test_some_requests_of_a_prepare(
    store: storage.Store, texts: Path, expected: dict[str, bytes]
) -> None:
    preparing = Preparing(store, texts, overwrite=False)
    with preparing.children.running():
        count = preparing.count(expected)
        assert count > 25
        for number, after in ((count // 3, True), (count // 2, False), (count - 5, True)):
            preparing.check(number, expected, after=after)


@pytest.mark.campaign
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("overwrite", [False, True], ids=["anew", "overwrite"])
def test_every_request_of_a_prepare(
    store: storage.Store, texts: Path, expected: dict[str, bytes], after: bool, overwrite: bool
) -> None:
    preparing = Preparing(store, texts, overwrite=overwrite)
    with preparing.children.running():
        count = preparing.count(expected)
        for number in range(FIRST, min(END, count)):
            preparing.check(number, expected, after=after)
    print(f"{count} requests")


@contextlib.contextmanager
def trainings(corpus: Corpus) -> Iterator[Children]:
    """Children that train on a corpus of this machine; they have the environment of now."""
    with Children("train", corpus.directory).running() as children:
        yield children


def state(run: str) -> dict[str, bytes | list[Any]]:
    """What a run has learnt and measured: its newest and its best weights, bit by bit, and all."""
    found: dict[str, bytes | list[Any]] = {}
    for which in ("newest", "best"):
        checkpoint = find_checkpoint(run, which)
        assert checkpoint.lost == {}
        with readable(checkpoint.path) as path:
            for name, value in checkpoint_arrays(Path(path)).items():
                found[f"{which} {checkpoint.step} {name}"] = np.asarray(value).tobytes()
    found["metrics"] = [tuple(map(entry.get, LOSSES)) for entry in read_metrics(run)]
    return found


def check_training(
    store: storage.Store, training: Children, run: str, number: int, *, after: bool
) -> dict[str, bytes | list[Any]]:
    """Kills one at a request, and lets the same command go on."""
    store.proxy.reset()
    child = training.start(run)
    store.proxy.fault = kill(child, number, after=after)
    assert training.end() == -signal.SIGKILL
    store.proxy.reset()
    assert training.run(run) == 0
    return state(run)


def test_some_requests_of_a_training(s3: storage.Store, char_corpus: Corpus) -> None:
    bucket = s3.new_bucket()
    s3.proxy.reset()
    with trainings(char_corpus) as training:
        assert training.run(f"{bucket}/straight") == 0
        # The index of a checkpoint is there, but who put it never knew.
        number = next(
            request.number
            for request in s3.proxy.requests
            if request.method == "PUT" and "/checkpoints/ckpt-4.index" in request.path
        )
        straight = state(f"{bucket}/straight")
        assert check_training(s3, training, f"{bucket}/run", number, after=True) == straight


@pytest.mark.campaign
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_every_request_of_a_training(
    store: storage.Store, char_corpus: Corpus, after: bool
) -> None:
    bucket = store.new_bucket()
    store.proxy.reset()
    with trainings(char_corpus) as training:
        assert training.run(f"{bucket}/straight") == 0
        count = len(store.proxy.requests)
        straight = state(f"{bucket}/straight")
        for number in range(FIRST, min(END, count)):
            found = check_training(store, training, f"{bucket}/{number}", number, after=after)
            assert found == straight, number
    print(f"{count} requests")
