"""`--overwrite`: the last whole corpus survives everything, and readers never mix the two."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from corpora import files, write

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.preparing import journal, replacement
from pipeline.text.pieces import Source
from pipeline.text.sources import find_sources

TRAIN = PrepareOptions(splits={"train": 1.0}, shard_bytes=4000)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    prepare([write(tmp_path / "old.txt", "old text\n" * 3000)], tmp_path / "corpus", TRAIN)
    return tmp_path / "corpus"


@pytest.mark.parametrize(
    "arguments",
    [
        {"sources": ["no such file"]},
        {"sources": [b"\xff\xfe not UTF-8"], "options": PrepareOptions(vocabulary="char")},
        {"sources": ["a"], "options": PrepareOptions(splits={"a": 0.5, "b": 0.5})},
        {"sources": ["text\n" * 99], "options": PrepareOptions(text_field="x")},
    ],
)
def test_what_fails_costs_nothing(corpus: Path, tmp_path: Path, arguments: dict[str, Any]) -> None:
    before = files(corpus)
    source = tmp_path / "new.txt"
    if arguments["sources"] != ["no such file"]:
        write(source, arguments["sources"][0])
    with pytest.raises(UserError):
        prepare([source], corpus, arguments.get("options", TRAIN), overwrite=True)
    assert files_of(corpus) == before
    assert open_corpus(corpus).splits["train"].num_tokens == 27_001


def files_of(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(corpus.iterdir()) if path.is_file()}


def test_a_reader_never_takes_the_new_text_for_the_old(corpus: Path, tmp_path: Path) -> None:
    """Shards of the same names and sizes: only the manifest tells them apart."""
    import tensorflow as tf

    windows = open_corpus(corpus).windows("train", seq_len=8, batch_size=4, shuffle_bytes=2**20)
    iterator = iter(windows)
    next(iterator)
    new = write(tmp_path / "old.txt", "NEW TEXT\n" * 3000)
    prepare([new], corpus, TRAIN, overwrite=True)
    seen = set()

    def read_on() -> None:
        for inputs, _ in iterator:
            seen.update(inputs.numpy().ravel().tolist())

    with pytest.raises(tf.errors.InvalidArgumentError, match="was replaced or removed while"):
        read_on()
    assert chr(max(seen)) == "x"
    assert ord("N") not in seen
    inputs, _ = next(iter(open_corpus(corpus).windows("train", seq_len=8, batch_size=4)))
    assert ord("N") in inputs.numpy()


def test_another_overwrite_takes_the_place_of_one_that_stopped(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = write(tmp_path / "new.txt", "new text\n" * 3000)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(replacement, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare([new], corpus, TRAIN, overwrite=True)
    assert (Path(replacement.stage_of(corpus)) / "manifest.json").exists()
    with pytest.raises(UserError, match="as they are now; nothing was changed"):
        prepare([new], corpus, TRAIN)
    other = PrepareOptions(splits={"train": 1.0}, vocabulary="char")
    prepare([new], corpus, other, overwrite=True)
    assert open_corpus(corpus).vocabulary.kind == "char"
    assert not (corpus / journal.FOLDER).exists()


def test_a_replacement_under_way_is_finished_first(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = write(tmp_path / "new.txt", "new text\n" * 3000)
    real = os.replace

    def stop(source: object, target: object) -> None:
        if str(target) == str(corpus / "manifest.json"):
            raise KeyboardInterrupt
        real(source, target)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare([new], corpus, TRAIN, overwrite=True)
    assert replacement.is_under_way(corpus)
    with pytest.raises(UserError, match="run the same command again"):
        open_corpus(corpus)
    manifest = prepare([new], corpus, TRAIN)  # the old corpus is gone: this is no overwriting
    assert manifest.sources[0].name == "new.txt"
    assert open_corpus(corpus).fingerprint == manifest.fingerprint


def test_two_prepares_of_different_text_are_never_both_done(tmp_path: Path) -> None:
    """Whoever comes second is refused before it reads anything, and loses nothing."""
    first = write(tmp_path / "a.txt", "a\n" * 1000)
    second = write(tmp_path / "b.txt", "b\n" * 1000)
    ended: list[BaseException | None] = []

    def run(source: Path) -> None:
        try:
            prepare([source], tmp_path / "corpus", TRAIN, workers=1)
            ended.append(None)
        except UserError as error:
            ended.append(error)

    threads = [threading.Thread(target=run, args=(source,)) for source in (first, second)]
    for thread in threads:
        thread.start()
        thread.join()
    assert ended[0] is None
    assert "as they are now; nothing was changed" in str(ended[1])
    assert open_corpus(tmp_path / "corpus").manifest.sources[0].name == "a.txt"


def test_a_waiting_prepare_does_not_take_its_input(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    with journal.locked(corpus):
        command = [sys.executable, "-m", "pipeline", "prepare", "-", "--output", str(corpus)]
        child = subprocess.run(
            command, input="text\n", text=True, capture_output=True, timeout=60, check=False
        )
    assert child.returncode == 1
    assert "is being prepared by process" in child.stderr
    assert list(corpus.iterdir()) == []


def test_the_output_is_no_source(tmp_path: Path) -> None:
    write(tmp_path / "in/a.txt", "first\n")
    write(tmp_path / "in/b.txt", "second\n")
    output = tmp_path / "in/corpus"
    manifests = [
        prepare([tmp_path / "in"], output, TRAIN, overwrite=overwrite)
        for overwrite in (False, True)
    ]
    assert [source.name for source in manifests[1].sources] == ["a.txt", "b.txt"]
    assert manifests[0] == manifests[1]
    with pytest.raises(UserError, match="is the output; name what to read"):
        prepare([output], output, TRAIN, overwrite=True)
    assert open_corpus(output).fingerprint == manifests[0].fingerprint


def test_a_mended_source_is_prepared_without_more_words(tmp_path: Path) -> None:
    """No shard was finished: there was nothing to lose."""
    rows = write(tmp_path / "rows.jsonl", '{"text": "a"}\nnot json\n')
    options = PrepareOptions(splits={"train": 1.0}, text_field="text")
    with pytest.raises(UserError, match="line 2: not valid JSON"):
        prepare([rows], tmp_path / "corpus", options)
    write(rows, '{"text": "a"}\n')
    prepare([rows], tmp_path / "corpus", options)
    assert open_corpus(tmp_path / "corpus").splits["train"].num_documents == 1


def test_what_is_finished_is_not_thrown_away(tmp_path: Path) -> None:
    source = write(tmp_path / "a.txt", "text\n" * 5000)
    with pytest.raises(UserError):
        prepare(
            [source, write(tmp_path / "b.txt", b"\xff" * 9000)],
            tmp_path / "corpus",
            PrepareOptions(splits={"train": 1.0}, vocabulary="bpe:300", shard_bytes=4000),
        )
    with pytest.raises(UserError, match=r"shards? finished, nothing changed"):
        prepare([source], tmp_path / "corpus", TRAIN)
    prepare([source], tmp_path / "corpus", TRAIN, overwrite=True)


@pytest.mark.parametrize("change", ["same size", "grown"])
def test_a_source_that_changes_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    from pipeline.preparing import shards

    source = write(tmp_path / "a.txt", "text\n" * 5000)
    real = shards.read_parts

    def read(piece: object) -> object:
        yield from real(piece)  # type: ignore[arg-type]
        write(source, "TEXT\n" * (5000 if change == "same size" else 6000))

    monkeypatch.setattr(shards, "read_parts", read)
    with pytest.raises(UserError, match=r"a\.txt changed while it was being prepared"):
        prepare([source], tmp_path / "corpus", TRAIN, workers=1)
    assert not (tmp_path / "corpus/manifest.json").exists()


def test_a_vocabulary_that_is_not_the_begun_one_is_made_again(tmp_path: Path) -> None:
    """A bit that flips while a prepare is stopped, or the vocabulary of another beginning."""
    source = write(tmp_path / "a.txt", "text\n" * 5000)
    options = PrepareOptions(splits={"train": 1.0}, vocabulary="char", shard_bytes=4000)
    expected = prepare([source], tmp_path / "straight", options)
    bad = write(tmp_path / "b.txt", b"text" * 2000 + b"\xff" * 9)
    corpus = tmp_path / "corpus"
    prepare([source], corpus, options)
    intent = journal.intent_of(options, _sources(source))
    (corpus / "manifest.json").unlink()
    journal.begin(corpus, intent, expected.vocabulary_fingerprint)
    write(corpus / "vocabulary.json", '{"characters": "\\u0000\\ntexy", "kind": "char"}\n')
    assert prepare([source], corpus, options) == expected
    assert files(corpus) == files(tmp_path / "straight")
    assert bad.exists()


def _sources(path: Path) -> tuple[Source, ...]:
    return find_sources([path]).sources


def test_an_empty_directory_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for output in ("corpus", "new"):
        with pytest.raises(UserError, match="no such file"):
            prepare([tmp_path / "nothing"], tmp_path / output, TRAIN)
    assert list((tmp_path / "corpus").iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_an_engine_and_workers_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no effect with another `engine`"):
        prepare([tmp_path], tmp_path / "c", TRAIN, workers=2, engine=lambda *_, **__: [])  # type: ignore[arg-type]
