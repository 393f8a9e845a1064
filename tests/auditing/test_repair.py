"""Repair: byte for byte what it was, or a reason why not."""

import json
from pathlib import Path

import pytest
from corpora import files, flip, prepared, shard_files, text, write

from pipeline import PrepareOptions, UserError, prepare
from pipeline.auditing.repair import repair
from pipeline.layout.sealed import read_sealed, sealed

OPTIONS = {"vocabulary": "char", "shard_bytes": 4000, "record_tokens": 300}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Many documents, one of them cut among shards."""
    write(tmp_path / "in/large.txt", text(20_000))
    for index in range(80):
        write(tmp_path / f"in/{index}.txt", text(500, seed=index + 1))
    return Path(prepared(tmp_path, str(tmp_path / "in"), **OPTIONS).directory)


def repair_all(corpus: Path) -> tuple[str, ...]:
    for path in shard_files(corpus):
        path.unlink(missing_ok=True)
    return repair(corpus, [corpus.parent / "in"])


def test_all_shards_at_once(corpus: Path) -> None:
    before = files(corpus)
    names = {path.name for path in shard_files(corpus)}
    assert set(repair_all(corpus)) == names
    assert files(corpus) == before
    assert repair(corpus, [corpus.parent / "in"]) == ()


def test_a_shard_needs_its_own_sources_alone(corpus: Path) -> None:
    before, folder = files(corpus), corpus.parent / "in"
    manifest = json.loads((corpus / "manifest.json").read_text())
    shard = manifest["splits"]["train"]["shards"][0]
    flip(corpus / shard["file"], 100)
    own = [manifest["sources"][piece[0]][0] for piece in shard["pieces"]]
    assert len(own) > 1
    assert repair(corpus, [folder / name for name in own]) == (shard["file"],)
    assert files(corpus) == before


def test_sources_are_found_however_they_were_chosen(tmp_path: Path) -> None:
    """Hidden ones, binary ones; what else has come since is passed over."""
    write(tmp_path / "in/_a.txt", text(100))
    write(tmp_path / "in/b.pdf", b"%PDF-1.7")
    options = PrepareOptions(allow_binary=True, splits={"train": 1.0}, shard_bytes=64)
    prepare([tmp_path / "in"], tmp_path / "corpus", options, hidden=True)
    before = files(tmp_path / "corpus")
    write(tmp_path / "in/new.zip", b"PK\x03\x04")
    assert len(repair_all(tmp_path / "corpus")) > 1
    assert files(tmp_path / "corpus") == before
    first = shard_files(tmp_path / "corpus")[0]
    first.unlink()
    assert repair(tmp_path / "corpus", [tmp_path / "in/_a.txt"]) == (first.name,)


def test_sources_that_are_not_what_they_were(corpus: Path) -> None:
    flip(shard_files(corpus)[0], 100)
    sources = corpus.parent / "in"
    large = (sources / "large.txt").read_bytes()
    write(sources / "large.txt", large[:-1])
    with pytest.raises(UserError, match=r"large\.txt has \d+ bytes; it had \d+"):
        repair_all(corpus)
    write(sources / "large.txt", large.replace(b"lorem", b"merol"))
    with pytest.raises(UserError, match="comes out otherwise"):
        repair_all(corpus)
    (sources / "large.txt").unlink()
    with pytest.raises(UserError, match=r"source large\.txt is needed and not among the sources"):
        repair_all(corpus)
    with pytest.raises(UserError, match="standard input cannot be read again"):
        repair(corpus, ["-"])


def test_an_interrupted_repair_loses_nothing(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(corpus)
    flip(shard_files(corpus)[0], 100)

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr("pipeline.auditing.repair._rebuild", interrupt)
        with pytest.raises(KeyboardInterrupt):
            repair(corpus, [corpus.parent / "in"])
    with pytest.raises(UserError, match="as they are now; nothing was changed"):
        prepare([corpus.parent / "in"], corpus, PrepareOptions(**OPTIONS))
    repair(corpus, [corpus.parent / "in"])
    assert files(corpus) == before


def test_what_no_source_can_mend_is_refused(corpus: Path) -> None:
    path = corpus / "manifest.json"
    content = read_sealed(path)
    (corpus / "vocabulary.json").write_text(json.dumps({"kind": "byte"}))
    with pytest.raises(UserError, match="its vocabulary is not the one that it was"):
        repair(corpus, [corpus.parent / "in"])
    options = {"splits": content["options"]["splits"], "words": 3}
    path.write_text(sealed({**content, "options": options}))
    with pytest.raises(UserError, match=r"manifest\.json is damaged: its options are none"):
        repair(corpus, [corpus.parent / "in"])


def test_a_changed_source_spoils_nothing(corpus: Path) -> None:
    """What comes out otherwise never takes the place of what is there."""
    damaged = next(file for file in shard_files(corpus) if "train" in file.name)
    flip(damaged, 100)
    before = files(corpus)
    large = corpus.parent / "in/large.txt"
    data = large.read_bytes()
    changed = data.replace(b"lorem", b"ipsum")
    assert len(changed) == len(data)
    large.write_bytes(changed)
    others = {path: path.read_bytes() for path in (corpus.parent / "in").glob("[0-9]*.txt")}
    for path, content in others.items():
        path.write_bytes(content.replace(b"lorem", b"ipsum"))
    with pytest.raises(UserError, match="comes out otherwise than it was prepared"):
        repair(corpus, [corpus.parent / "in"])
    assert files_only(corpus) == before
    large.write_bytes(data)
    for path, content in others.items():
        path.write_bytes(content)
    assert repair(corpus, [corpus.parent / "in"]) == (damaged.name,)


def files_only(corpus: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in corpus.iterdir() if path.is_file()}
