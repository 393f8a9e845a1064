"""Compressed text is the same text; what is damaged is named."""

import gzip
import os
from pathlib import Path

import pytest
from corpora import TRAIN, documents, prepared, text, write
from samples import COMPRESS
from terminal import textreel_without

from pipeline import UserError
from pipeline.auditing.verify import verify
from pipeline.text.formats.compressed import compression_of, read_compressed, text_blocks


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_compressed_text_is_the_same_text(tmp_path: Path, suffix: str, vocabulary: str) -> None:
    plain = text(300_000).encode()
    path = write(tmp_path / f"x.txt{suffix}", COMPRESS[suffix](plain))
    corpus = prepared(tmp_path, path, splits=TRAIN, vocabulary=vocabulary)
    assert documents(corpus, "train") == [plain]
    assert corpus.splits["train"].text_bytes == len(plain)
    assert verify(corpus.directory).problems == ()


@pytest.mark.parametrize("suffix", COMPRESS)
def test_blocks_count_the_bytes_of_the_file(tmp_path: Path, suffix: str) -> None:
    plain = os.urandom(300_000)
    path = write(tmp_path / f"x{suffix}", COMPRESS[suffix](plain))
    blocks = list(read_compressed(str(path), suffix))
    assert b"".join(block for block, _ in blocks) == plain
    assert sum(num_bytes for _, num_bytes in blocks) == path.stat().st_size
    assert len(blocks) > 3
    assert list(text_blocks(str(path), suffix, 17, 19)) == blocks  # from the beginning, always


def test_text_that_is_not_compressed_comes_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"0123456789")
    assert list(text_blocks(str(path), "", 2, 7)) == [(b"23456", 5)]


def test_the_suffix_says_how() -> None:
    assert [compression_of(name) for name in ("a.gz", "a.txt.ZST", "gz", "a.zip", "a.gz/b")] == [
        ".gz",
        ".zst",
        "",
        "",
        "",
    ]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    data = COMPRESS[suffix](os.urandom(300_000))
    path = write(tmp_path / f"x.txt{suffix}", data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"x.txt{suffix} is cut off: after \d+ bytes of text"):
        prepared(tmp_path, path, splits=TRAIN)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_damaged_file_is_named(tmp_path: Path, suffix: str) -> None:
    data = bytearray(COMPRESS[suffix](os.urandom(300_000)))
    data[100] ^= 0xFF
    data[len(data) // 2] ^= 0xFF
    path = write(tmp_path / f"x.txt{suffix}", bytes(data))
    with pytest.raises(UserError, match=rf"x.txt{suffix} is (damaged|cut off)"):
        prepared(tmp_path, path, splits=TRAIN)


def test_invalid_text_in_a_compressed_file_is_placed(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", gzip.compress(b"a" * 100_000 + b"\xff" + b"b" * 100))
    with pytest.raises(UserError, match=r"x.gz is not UTF-8 at byte 100000 of its text"):
        prepared(tmp_path, path, splits=TRAIN, vocabulary="char")


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    path = write(tmp_path / "x.zst", COMPRESS[".zst"](b"text"))
    result = textreel_without("backports", "prepare", path, "--output", tmp_path / "out")
    assert result.returncode == 1
    assert "x.zst: reading .zst needs a package: pip install 'textreel[formats]'" in result.stderr
    assert "Traceback" not in result.stderr
