"""Small texts and corpora for the tests."""

import random
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import Corpus, PrepareOptions, open_corpus, prepare
from pipeline.layout.records import read_records

TRAIN = {"train": 1.0}
WORDS = ("lorem", "ipsum", "dolor", "naïve", "日本語", "𝄞", "sit", "amet,", "\r\n", "end.\n")
TEXTS = ("one\r\ntwo\r\n", "\ufeffmarked", "\n\n\n", "x", "𝄞" * 100)


def text(num_characters: int, *, seed: int = 0) -> str:
    """Words and newlines, some of them beyond ASCII."""
    words = random.Random(seed).choices(WORDS, k=num_characters)
    return " ".join(words)[:num_characters]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_many(folder: Path, *, num_files: int = 60, large: int = 30_000) -> Path:
    """Many small documents, and a large one that must be cut."""
    for index in range(num_files):
        write(folder / f"{index % 7}/{index}.txt", text(50 + 37 * index, seed=index))
    write(folder / "large file.txt", text(large, seed=99))
    return folder


def make(folder: Path, content: str | bytes, **options: Any) -> Corpus:
    """A corpus of one document."""
    return prepared(folder, write(folder / "text.txt", content), **options)


def prepared(folder: Path, source: Path | str, **options: Any) -> Corpus:
    """The corpus of a source, in `FOLDER/corpus`."""
    prepare([source], folder / "corpus", PrepareOptions(**options), workers=1)
    return open_corpus(folder / "corpus")


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def shard_files(directory: Path | str) -> list[Path]:
    return sorted(Path(directory).glob("*.tfrecord-*"))


def flip(path: Path, offset: int) -> None:
    """Changes one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def tokens_of(corpus: Corpus, split: str) -> np.ndarray:
    """All tokens of a split, from the files themselves."""
    payloads = [
        payload
        for shard in corpus.splits[split].shards
        for payload in read_records(f"{corpus.directory}/{shard.file}")
    ]
    return np.frombuffer(b"".join(payloads), corpus.vocabulary.dtype)


def tokens_by_tensorflow(corpus: Corpus, split: str) -> np.ndarray:
    """The same, as TensorFlow reads them."""
    import tensorflow as tf

    feature = {"tokens": tf.io.FixedLenFeature([], tf.string)}
    paths = [f"{corpus.directory}/{shard.file}" for shard in corpus.splits[split].shards]
    data = b"".join(
        tf.io.parse_single_example(record, feature)["tokens"].numpy()
        for record in tf.data.TFRecordDataset(paths)
    )
    return np.frombuffer(data, corpus.vocabulary.dtype)


def window_array(
    corpus: Corpus, split: str, *, seq_len: int, stride: int | None = None
) -> np.ndarray:
    """The windows of a split in the order of the text, by slicing the tokens of each shard."""
    tokens, windows = tokens_of(corpus, split), []
    for shard in corpus.splits[split].shards:
        own, tokens = tokens[: shard.num_tokens], tokens[shard.num_tokens :]
        starts = range(0, len(own) - seq_len, stride or seq_len)
        windows += [own[start : start + seq_len + 1] for start in starts]
    return np.array(windows).reshape(len(windows), seq_len + 1)


def sliced_windows(
    corpus: Corpus, split: str, *, seq_len: int, stride: int | None = None
) -> list[tuple[int, ...]]:
    """The same, one by one."""
    return [tuple(w) for w in window_array(corpus, split, seq_len=seq_len, stride=stride).tolist()]


def documents(corpus: Corpus, split: str) -> list[bytes]:
    """The documents of a split, as bytes."""
    tokens = tokens_of(corpus, split)
    parts = np.split(tokens, np.flatnonzero(tokens == corpus.vocabulary.separator_id) + 1)
    assert len(parts.pop()) == 0, "a separator ends each"
    return [corpus.vocabulary.decode_bytes(part[:-1]) for part in parts]
