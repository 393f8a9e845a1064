"""Sources and pieces of them: lengths, bytes, splits."""

import pytest

from pipeline.text.formats import Parquet, PlainText
from pipeline.text.pieces import Documents, Piece, Source, boundary

ROWS = Parquet(text_field="text", row_groups=(4, 10))


def test_a_piece_counts_bytes_or_rows() -> None:
    file = Source(path="/x", name="x", source_bytes=1000, format=PlainText())
    rows = Source(path="/y", name="y", source_bytes=1000, format=ROWS, num_rows=10)
    empty = Source(path="/z", name="z", source_bytes=8, format=ROWS, num_rows=0)
    assert (file.length, rows.length, empty.length) == (1000, 10, 0)
    assert (file.is_document, rows.is_document) == (True, False)
    assert Piece(source=file, start=10, stop=30).source_bytes == 20
    assert Piece(source=rows, start=4, stop=10).source_bytes == 600
    assert Piece(source=rows, start=0, stop=10).source_bytes == 1000


@pytest.mark.parametrize("search_bytes", [0, 1, 2, 5, 100])
def test_a_text_is_cut_after_a_newline_or_between_characters(search_bytes: int) -> None:
    text = "aé日𝄞\nb𝄞\n\n日本語"
    data, ends = text.encode(), {len(text[:n].encode()) for n in range(len(text) + 1)}
    for place in range(len(data) + 1):
        cut = place + boundary(data[place : place + max(search_bytes, 4)], search_bytes)
        newline = data.find(b"\n", place, place + search_bytes)
        expected = newline + 1 if newline >= 0 else min(end for end in ends if end >= place)
        assert cut == expected
    assert boundary(b"\x80" * 9, 2) == 0  # no UTF-8 at all


def test_a_piece_without_a_split_may_hold_any() -> None:
    file = Source(path="/x", name="x", source_bytes=1000, format=PlainText())
    own = Piece(source=file, start=0, stop=9, split="train")
    assert (own.may_hold("train"), own.may_hold("test")) == (True, False)
    many = Piece(source=file, start=0, stop=9)
    assert (many.may_hold("train"), many.may_hold("test")) == (True, True)


def test_some_documents_are_chosen() -> None:
    documents = Documents([b"a", b"b", b"c"], range(3, 6), 30)
    assert documents.where([True, False, True]) == Documents([b"a", b"c"], [3, 5], 0)
