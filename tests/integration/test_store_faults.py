"""A prepare into a store that ends at any call, is failed, or joined: the same bytes."""

import importlib
import threading
from pathlib import Path
from typing import Any

import pytest
import storage
from corpora import files, write_many
from storage_proxy import Fault

from pipeline import PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.verify import verify
from pipeline.files import failures, join, names_in, read_bytes
from pipeline.preparing import journal

prepare_module = importlib.import_module("pipeline.preparing.prepare")
OPTIONS = PrepareOptions(
    vocabulary="char", splits={"train": 0.9, "validation": 0.1}, shard_bytes=20_000
)


@pytest.fixture(params=["google", "s3", "azure"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> storage.Store:
    """A store of each kind."""
    monkeypatch.setattr(failures, "pause_seconds", lambda attempt: 0.01)
    found: storage.Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_many(tmp_path_factory.mktemp("texts") / "src", num_files=5, large=60_000)


@pytest.fixture(scope="module")
def expected(texts: Path) -> dict[str, bytes]:
    """The files of the corpus, as they are on a disk."""
    prepare([texts], texts.parent / "corpus", OPTIONS, workers=1)
    return files(texts.parent / "corpus")


def contents(uri: str) -> dict[str, bytes]:
    """The files of a corpus; those of a journal are left out."""
    names = [name for name in names_in(uri) if name != journal.FOLDER]
    return {name: read_bytes(join(uri, name)) for name in names}


class Died(BaseException):
    """What ends a prepare as a kill does: nobody handles it."""


class Dying:
    """Ends the calls of a store from a number on, before the store sees them, or after."""

    def __init__(self, number: int, *, after: bool):
        self.number, self.after, self.count = number, after, 0
        self._retried = failures.retried

    def __call__(self, uri: str, verb: str, call: object) -> object:
        self.count += 1
        if self.count > self.number:
            raise Died
        if self.count == self.number and not self.after:
            raise Died
        result = self._retried(uri, verb, call)  # type: ignore[arg-type]
        if self.count == self.number:
            raise Died
        return result


@pytest.mark.parametrize("after", [False, True])
def test_a_prepare_that_ends_at_any_call_goes_on_to_the_same_bytes(
    google: storage.Store,
    texts: Path,
    expected: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    """In one process, where an exception that nobody handles is the kill."""
    bucket, number = google.new_bucket(), 0
    while True:
        number += 1 if number < 12 else 5
        output = f"{bucket}/{number}"
        with monkeypatch.context() as patch:
            dying = Dying(number, after=after)
            patch.setattr("pipeline.files.store.retried", dying)
            try:
                prepare([texts], output, OPTIONS, workers=1)
                break
            except Died:
                pass
        names = names_in(output)
        if "manifest.json" in names:
            assert {name: read_bytes(join(output, name)) for name in expected} == expected
        if "manifest.json" not in names or journal.begun(output) is not None:
            prepare([texts], output, OPTIONS, workers=1)
            assert contents(output) == expected
    assert dying.count > 20


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(lose_answer=True), Fault(reset=True)])
def test_a_busy_store_changes_no_byte(
    store: storage.Store, texts: Path, expected: dict[str, bytes], fault: Fault
) -> None:
    output = f"{store.new_bucket()}/corpus"
    store.proxy.fault = lambda request: fault if request.number % 7 == 3 else None
    prepare([texts], output, OPTIONS, workers=1)
    store.proxy.reset()
    assert contents(output) == expected


def test_two_prepares_of_the_same_plan_make_it_together(
    store: storage.Store, texts: Path, expected: dict[str, bytes]
) -> None:
    output = f"{store.new_bucket()}/corpus"
    failed: list[BaseException] = []

    def run() -> None:
        try:
            prepare([texts], output, OPTIONS, workers=1)
        except UserError as error:
            if "holds a corpus" not in str(error):  # the other one had ended
                failed.append(error)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert contents(output) == expected


def test_of_two_plans_the_second_is_refused_before_anything_is_touched(
    store: storage.Store, texts: Path, expected: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = f"{store.new_bucket()}/corpus"
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.preparing.prepare._write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare([texts], output, OPTIONS, workers=1)
    before = names_in(output), names_in(f"{output}/.prepare")
    with pytest.raises(UserError, match="begun otherwise: `vocabulary` was char, now byte"):
        prepare([texts], output, PrepareOptions(), workers=1)
    assert (names_in(output), names_in(f"{output}/.prepare")) == before
    prepare([texts], output, OPTIONS, workers=1)
    assert contents(output) == expected


def test_a_corpus_that_was_made_meanwhile_is_left_alone(
    store: storage.Store, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another prepare, which began and ended while this one read the text."""
    output = f"{store.new_bucket()}/corpus"
    made = prepare_module.make_vocabulary

    def make_vocabulary(*arguments: Any, **options: Any) -> Any:
        prepare([texts], output, PrepareOptions(), workers=1)
        return made(*arguments, **options)

    monkeypatch.setattr(prepare_module, "make_vocabulary", make_vocabulary)
    with pytest.raises(UserError, match=r"holds a corpus now, .*; nothing was changed"):
        prepare([texts], output, OPTIONS, workers=1)
    assert names_in(f"{output}/.prepare") == []
    assert open_corpus(output).manifest.options["vocabulary"] == "byte"
    assert not verify(output).problems
