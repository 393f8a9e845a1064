"""What the formats share whose documents are fields of rows."""

from collections.abc import Iterator

import pytest

from pipeline.errors import UserError
from pipeline.text.bad_rows import RowError
from pipeline.text.formats.rows import (
    RowFormat,
    documents_of_blocks,
    documents_of_rows,
    field_of,
    without_long,
)
from pipeline.text.pieces import Documents, Piece, Reading, Source


def test_the_bytes_of_a_piece_are_shared_by_its_rows() -> None:
    written = RowFormat(text_field="t", max_row_bytes=3)
    source = Source(path="/x", name="x", source_bytes=100, format=written, num_rows=10)
    piece = Piece(source=source, start=4, stop=7)
    rows = [Documents([b"a", b"bcd"], [4, 5]), Documents([b""], [6])]
    assert list(documents_of_rows(piece, rows, written)) == [
        Documents([b"a", b"bcd"], [4, 5], 20),
        Documents([b""], [6], 10),
    ]
    uneven = Piece(source=source, start=0, stop=7)
    rows = [Documents([b"x"], [row]) for row in range(7)]
    found = documents_of_rows(uneven, rows, written)
    assert sum(each.num_done for each in found) == uneven.source_bytes
    rows = [Documents([b"a", b"long"], [0, 2], bad=[RowError(1, "null")]), Documents([b"x"], [3])]
    first, second = documents_of_rows(uneven, rows, written)
    assert (first.texts, [error.position for error in first.bad]) == ([b"a"], [1, 2])
    assert [first.num_done, second.num_done] == [30, 10]


def test_what_is_too_long_is_bad() -> None:
    rows = Documents([b"a", b"bcd", b"efgh"], [4, 7, 9], 12)
    assert without_long(rows, 4) is rows
    good = without_long(rows, 2)
    assert (good.texts, good.positions, good.num_done) == ([b"a"], [4], 12)
    assert [error.position for error in good.bad] == [7, 9]
    assert good.bad[0].reason == "longer than 2 bytes"


def test_a_row_is_counted_from_zero() -> None:
    rows = RowFormat(text_field="body")
    assert rows.place_of("/x", 7) == "/x, row 7 (the first is 0)"
    problem = rows.problem_of("/x", 7, 3)
    assert problem == "/x, row 7 (the first is 0) is not UTF-8 at byte 3 of the field 'body'"


def test_the_field_must_be_named() -> None:
    assert field_of("/x.parquet", Reading(text_field="body")) == "body"
    with pytest.raises(UserError, match=r"/x\.parquet holds rows: name the field"):
        field_of("/x.parquet", Reading())


def test_what_is_done_is_what_was_read_for_the_documents() -> None:
    """Blocks of 10, 20 and 30 bytes of the source; a document in the first, three in the last."""

    def split(blocks: Iterator[bytes]) -> Iterator[Documents]:
        yield Documents([next(blocks)], [5])
        next(blocks)
        last = next(blocks)
        yield Documents([last, b""], [6, 7])
        yield Documents([last], [8])

    blocks = [(b"a", 10), (b"b", 20), (b"c", 30)]
    assert list(documents_of_blocks(blocks, split)) == [
        Documents([b"a"], [5], 10),
        Documents([b"c", b""], [6, 7], 50),
        Documents([b"c"], [8], 0),
    ]
