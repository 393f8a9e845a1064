"""Plain text: where a document may be cut, and what a separator is."""

from pathlib import Path

import pytest
from corpora import TRAIN, prepared, write

from pipeline import UserError
from pipeline.text.formats import PlainText
from pipeline.text.pieces import Source


def source_of(path: Path, **options: str) -> Source:
    size = path.stat().st_size
    return Source(path=str(path), name="x", source_bytes=size, format=PlainText(**options))


@pytest.mark.parametrize(
    ("data", "offset", "search_bytes", "expected"),
    [
        (b"one\ntwo\nthree", 1, 10, 4),  # after the newline
        (b"one\ntwo\nthree", 4, 10, 8),  # the next one, though 4 is a line's start
        (b"one\ntwo\nthree", 4, 3, 4),  # no newline near: a character's start
        ("a日本語".encode(), 2, 0, 4),
        ("a日本語".encode(), 3, 1, 4),
        ("a𝄞𝄞".encode(), 2, 2, 5),
        (b"\x80" * 20, 3, 4, 3),  # no UTF-8: right there
    ],
)
def test_where_a_document_may_be_cut(
    tmp_path: Path, data: bytes, offset: int, search_bytes: int, expected: int
) -> None:
    assert source_of(write(tmp_path / "x", data)).cut(offset, search_bytes) == expected


def test_compressed_text_is_not_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "x.gz", b"\n" * 50)
    for document in ("file", "line"):
        assert source_of(path, compression=".gz", document=document).cut(10, 20) == 50


def test_many_documents_are_cut_after_one_however_long(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"a\n" + b"b" * 200_000 + b"\nc")
    assert source_of(path, document="line").cut(5, 0) == 200_003


def test_a_file_is_a_document_unless_it_is_said_otherwise() -> None:
    assert PlainText().is_document
    assert not PlainText(document="line").is_document
    assert PlainText(document="line").place_of("/x", 7) == "/x, the document at byte 7"
    assert PlainText().place_of("/x", 0) == "/x"


def test_a_separator_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    plain = write(tmp_path / "x.txt", "text")
    with pytest.raises(UserError, match=r"the separator '@@@' is not in the text .*x.txt\); name"):
        prepared(tmp_path, plain, splits=TRAIN, document="@@@")
