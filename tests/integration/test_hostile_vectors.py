"""Vectors of whomever: the loader takes a file, or says in one sentence what is wrong with it."""

import gzip
import io
import resource
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mutations import mutated_bytes

from pipeline import UserError
from pipeline.vocabulary.characters import CharVocabulary
from trainer.embeddings.vectors import read_vectors

COUNTS = [100, pytest.param(2000, marks=pytest.mark.campaign)]
MAX_GROWN_BYTES = 128 * 2**20
VOCABULARY = CharVocabulary([ord(character) for character in "abcdé "])
GLOVE = b"".join(b"%s %d.5 -1e-3 7\n" % (word.encode(), len(word)) for word in "abcdé") * 20
RAN = Path("ran")  # what a pickle would make


def check(path: Path, data: bytes) -> bool:
    """Whether a file was taken; else the error is one that people are shown."""
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = "taken"
    try:
        found = read_vectors(str(path), VOCABULARY)
        assert np.isfinite(found.values).all()
        assert found.values.nbytes <= 10 * max(len(data), 10_000)
    except UserError as error:
        message = str(error)
    assert path.name in message or message == "taken"
    assert len(message) < 1000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < MAX_GROWN_BYTES, data[:100]
    return message == "taken"


@pytest.mark.parametrize("count", COUNTS)
def test_texts(tmp_path: Path, count: int) -> None:
    taken = [check(tmp_path / "a.txt", data) for data in mutated_bytes(GLOVE, 1, count)]
    headed = b"100 3\n" + GLOVE
    taken += [check(tmp_path / "a.vec", data) for data in mutated_bytes(headed, 2, count)]
    assert {*taken} == {True, False}


@pytest.mark.parametrize("count", COUNTS)
def test_compressed_texts(tmp_path: Path, count: int) -> None:
    whole = gzip.compress(GLOVE, mtime=0)
    taken = [check(tmp_path / "a.txt.gz", data) for data in mutated_bytes(whole, 3, count)]
    assert {*taken} == {True, False}


@pytest.mark.parametrize("count", COUNTS)
def test_arrays(tmp_path: Path, count: int) -> None:
    whole = saved(np.arange(VOCABULARY.size * 3, dtype=np.float32).reshape(-1, 3))
    taken = [check(tmp_path / "a.npy", data) for data in mutated_bytes(whole, 4, count)]
    taken += [check(tmp_path / "a.npy", data) for data in mutated_bytes(whole[:128], 5, count)]
    assert {*taken} == {True, False}


@pytest.mark.parametrize(
    "header", [b"5 1000000000000", b"1000000000000 3", b"9" * 5000 + b" 3", b"5 " + b"9" * 5000]
)
def test_headers_of_texts_that_lie(tmp_path: Path, header: bytes) -> None:
    assert not check(tmp_path / "a.vec", header + b"\n" + GLOVE)


class Evil:
    def __reduce__(self) -> object:
        return RAN.touch, ()


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def lying() -> Iterator[bytes]:
    rows = VOCABULARY.size
    for shape, kind in (
        (f"({rows}, 10**12)", "<f4"),
        (f"({rows}, {10**12})", "<f4"),
        (f"({rows}, {10**30})", "<f4"),
        (f"({rows}, -1)", "<f4"),
        (f"({rows}, 0)", "<f4"),
        (f"({rows}, True)", "<f4"),
        (f"({rows}, 3.0)", "<f4"),
        (f"({rows}, 3)", "|O"),
        (f"({rows}, 3)", "<f2000000000"),
        (f"({rows}, 3)", "<c16"),
        (f"({rows}, 3)", "<f8"),
        (f"({rows}, {'9' * 5000})", "<f4"),
        ("(" * 5000, "<f4"),
        ("[" * 9000 + "]" * 9000, "<f4"),
    ):
        text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
        yield b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(rows * 12)
        yield b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + text
    yield b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**28) + b" " * 2**20
    yield b"\x93NUMPY\x03\x00" + struct.pack("<I", 4) + b"{}\n\n"
    yield saved(np.array([[Evil()]] * rows, object))


def test_arrays_that_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for data in lying():
        assert not check(tmp_path / "a.npy", data), data[:100]
    assert not RAN.exists()
