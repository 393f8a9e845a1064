"""Signatures: estimates of the exact index, and passages whose ends the words decide."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from corpora import documents, prepared, shard_files, text, write
from edits import edited, sentence, shingles

from pipeline import Corpus
from pipeline.auditing.signatures import NUM_VALUES, Signatures, SignTask, sign_shard


def signed(corpus: Corpus, index: int = 0) -> Signatures:
    path = shard_files(corpus.directory)[index]
    done: list[int] = []
    task = SignTask(path=str(path), vocabulary=corpus.vocabulary, disk_bytes=path.stat().st_size)
    found = sign_shard(task, done.append)
    assert done == [task.disk_bytes]
    assert found.values.shape == (len(found.places), NUM_VALUES)
    return found


def signed_texts(folder: Path, texts: list[str], **options: object) -> Signatures:
    """The signatures of documents, one a file, in one shard."""
    for number, content in enumerate(texts):
        write(folder / f"in/{number:04}", content)
    return signed(prepared(folder, folder / "in", splits={"train": 1.0}, **options))


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_the_equal_values_estimate_the_exact_index(tmp_path: Path, vocabulary: str) -> None:
    source = random.Random(0)
    texts = []
    for number in range(60):
        content = sentence(source, source.choice([20, 100, 400]))
        texts += [content, edited(source, content, number / 100)]
    values = signed_texts(tmp_path, texts, vocabulary=vocabulary).values
    assert len(values) == len(texts)
    errors = []
    for number in range(0, len(texts), 2):
        first, second = (shingles(texts[number + n]) for n in (0, 1))
        exact = len(first & second) / len(first | second)
        errors.append(float((values[number] == values[number + 1]).mean()) - exact)
        assert abs(errors[-1]) < 0.18  # four standard deviations
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.05


def test_an_insertion_moves_no_later_passage(tmp_path: Path) -> None:
    source = random.Random(0)
    long = sentence(source, 30_000)
    plain, inserted = (
        signed_texts(tmp_path / name, [content])
        for name, content in (("plain", long), ("inserted", "some more words before. " + long))
    )
    assert 20 < len(plain.places) < 50
    common = {tuple(each) for each in plain.values} & {tuple(each) for each in inserted.values}
    assert len(common) >= len(plain.values) - 2


@pytest.mark.parametrize("record_tokens", [7, 1000])
def test_passages_stand_where_they_say(tmp_path: Path, record_tokens: int) -> None:
    """Short documents, long ones, none, and characters of several bytes."""
    source = random.Random(0)
    texts = [sentence(source, size) + text(size, seed=size) for size in (20, 3000, 1, 9000)]
    texts.insert(1, "few words")
    folder = tmp_path / "in"
    for number, content in enumerate(texts):
        write(folder / f"{number}", content)
    corpus = prepared(tmp_path, folder, record_tokens=record_tokens, splits={"train": 1.0})
    tokens = "\0".join(texts).encode() + b"\0"
    starts = [0]
    for content in texts:
        starts.append(starts[-1] + len(content.encode()) + 1)
    for first, start, num_bytes in signed(corpus).places.tolist():
        assert first in starts
        passage = tokens[first + start : first + start + num_bytes].decode()
        assert "\0" not in passage
        assert re.fullmatch(r"\w.*\w|\w", passage, re.DOTALL)
    covered = signed(corpus).places[:, 2].sum()
    assert covered > 0.95 * len(tokens)
    assert documents(corpus, "train") == [content.encode() for content in texts]


def test_scripts_without_spaces_have_shingles_of_characters(tmp_path: Path) -> None:
    source = random.Random(0)
    chinese = "".join(chr(source.randrange(0x4E00, 0x5000)) for _ in range(300))
    changed = "".join("一" if source.random() < 0.05 else each for each in chinese)
    other = "".join(chr(source.randrange(0x4E00, 0x5000)) for _ in range(300))
    values = signed_texts(tmp_path, [chinese, changed, other]).values
    assert (values[0] == values[1]).mean() > 0.5
    assert (values[0] == values[2]).mean() < 0.1
