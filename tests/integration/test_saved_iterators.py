"""An iterator that one process saves and another restores."""

from pathlib import Path

import pytest
from training import run_child

from pipeline import Corpus

# Prints the digests of the batches from the 150th on: of a straight run, or of a restored one.
PROGRAM = """
import hashlib
import itertools
import sys
import tensorflow as tf
from pipeline import mix, open_corpus

directory, way, task, path = sys.argv[1:]
corpus = open_corpus(directory)
options = {"seq_len": 16, "batch_size": 24}
if way == "windows":
    dataset = corpus.windows("train", **options, epochs=12, shuffle_bytes=2**20)
elif way == "lanes":
    dataset = corpus.lanes("train", **options)
else:
    dataset = mix([(corpus, 1), (corpus, 2)], "train", **options)
iterator = iter(dataset)
checkpoint = tf.train.Checkpoint(iterator=iterator)
if task == "restore":
    checkpoint.read(path).assert_consumed()
else:
    for _ in range(150):
        next(iterator)
if task == "save":
    checkpoint.write(path)
else:
    for batch in itertools.islice(iterator, 200):
        parts = [part.numpy().tobytes() for part in tf.nest.flatten(batch)]
        print(hashlib.sha256(b"".join(parts)).hexdigest())
"""


@pytest.mark.parametrize("way", ["windows", "lanes", "mix"])
def test_it_goes_on_in_another_process(char_corpus: Corpus, tmp_path: Path, way: str) -> None:
    path = str(tmp_path / "saved")
    run_child(PROGRAM, char_corpus.directory, way, "save", path)
    restored = run_child(PROGRAM, char_corpus.directory, way, "restore", path).split()
    straight = run_child(PROGRAM, char_corpus.directory, way, "straight", path).split()
    num_batches = 12 * char_corpus.num_windows("train", seq_len=16) // 24 - 150
    assert len(straight) == (num_batches if way == "windows" else 200)
    assert len(set(straight)) > 100
    assert restored == straight
