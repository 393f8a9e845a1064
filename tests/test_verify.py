import json
import random
import shutil

import pytest
from corpora import files, make, text, write

from pipeline import PrepareOptions, UserError, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.verify import describe, verify

OPTIONS = PrepareOptions(vocabulary="char", shard_bytes=4000, record_tokens=300)


@pytest.fixture
def corpus(tmp_path):
    """Many documents, one of them cut among shards."""
    write(tmp_path / "in/large.txt", text(20_000))
    for index in range(80):
        write(tmp_path / f"in/{index}.txt", text(500, seed=index + 1))
    prepare([tmp_path / "in"], tmp_path / "out", OPTIONS)
    return tmp_path / "out"


def shard_files(corpus):
    return sorted(corpus.glob("*.tfrecord*"))


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_whole_corpus_is_well(corpus):
    report = verify(corpus, workers=2)
    assert report.problems == ()
    assert report.num_shards == len(shard_files(corpus))
    assert report.num_documents == 80  # the large one lies in several shards
    assert describe(report).endswith("all is well")


def test_every_flipped_bit_is_found_and_repaired(corpus):
    before = files(corpus)
    source = random.Random(0)
    for _ in range(20):
        path = source.choice(shard_files(corpus))
        flip(path, source.randrange(path.stat().st_size))
        report = verify(corpus)
        assert report.bad_shards == (path.name,)
        assert report.problems[0].startswith(path.name)
        assert repair(corpus, [corpus.parent / "in"]) == (path.name,)
        assert files(corpus) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes, the manifest says"),
        (lambda path: flip(path, 3), "record 0 at byte 0: the checksum of its length is wrong"),
        (lambda path: flip(path, 500), "record 1 at byte 339: the checksum of its content"),
    ],
)
def test_the_shard_and_what_is_wrong_are_named(corpus, damage, message):
    before, path = files(corpus), shard_files(corpus)[2]
    damage(path)
    report = verify(corpus)
    assert len(report.problems) == 1
    assert path.name in report.problems[0]
    assert message in report.problems[0]
    repair(corpus, [corpus.parent / "in"], workers=2)
    assert files(corpus) == before


def test_a_shard_in_the_place_of_another(corpus):
    first, second = shard_files(corpus)[:2]
    shutil.copy(first, second)
    assert verify(corpus).bad_shards == (second.name,)


def test_the_files_beside_the_shards(corpus):
    before = files(corpus)
    (corpus / "dataset_info.json").write_text("{}")
    (corpus / "features.json").unlink()
    assert [problem.split(":")[0] for problem in verify(corpus).problems] == [
        "dataset_info.json",
        "features.json",
    ]
    assert repair(corpus, [corpus.parent / "in"]) == ()
    assert files(corpus) == before
    (corpus / "vocabulary.json").write_text(json.dumps({"kind": "byte"}))
    assert verify(corpus).problems == ("its vocabulary is not that of the manifest",)
    with pytest.raises(UserError, match="its vocabulary is not that of the manifest"):
        repair(corpus, [corpus.parent / "in"])


def test_text_that_is_in_two_shards_or_none(corpus):
    path = corpus / "manifest.json"
    content = json.loads(path.read_text())
    content["splits"]["train"]["shards"][0]["pieces"][0][2] -= 1
    path.write_text(json.dumps(content))
    assert any("is in no shard, or in two" in problem for problem in verify(corpus).problems)


def test_copies_across_splits_are_reported(tmp_path):
    for index in range(400):
        write(tmp_path / f"in/{index}.txt", text(100, seed=index % 100))
    options = PrepareOptions(splits={"train": 0.8, "validation": 0.2})
    prepare([tmp_path / "in"], tmp_path / "out", options)
    report = verify(tmp_path / "out")
    assert report.problems == ()
    assert report.duplicates[("train", "validation")] > 10
    assert "documents of validation are in train too" in describe(report)


def test_sources_that_are_not_what_they_were(corpus):
    path = shard_files(corpus)[0]
    flip(path, 100)
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


def repair_all(corpus):
    for path in shard_files(corpus):
        path.unlink(missing_ok=True)
    repair(corpus, [corpus.parent / "in"])


def test_an_interrupted_repair_loses_nothing(corpus, monkeypatch):
    before = files(corpus)
    flip(shard_files(corpus)[0], 100)
    with monkeypatch.context() as context:
        context.setattr("pipeline.auditing.repair._rebuild", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            repair(corpus, [corpus.parent / "in"])
    with pytest.raises(UserError, match="holds a corpus; nothing was changed"):
        prepare([corpus.parent / "in"], corpus, OPTIONS)
    repair(corpus, [corpus.parent / "in"])
    assert files(corpus) == before


def test_byte_corpora_are_read_alike(tmp_path):
    corpus = make(tmp_path, text(5000), record_tokens=99)
    assert verify(corpus.directory).problems == ()
