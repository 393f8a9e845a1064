"""What the formats share whose documents are fields of rows."""

import pytest

from pipeline.errors import UserError
from pipeline.text.formats.rows import RowFormat, field_of, parts_of_rows
from pipeline.text.pieces import Part, Piece, Reading, Source


def test_the_bytes_of_a_piece_are_shared_by_its_rows() -> None:
    source = Source(
        path="/x", name="x", source_bytes=100, format=RowFormat(text_field="t"), num_rows=10
    )
    piece = Piece(source=source, start=4, stop=7)
    parts = list(parts_of_rows(piece, [(4, b"a"), (5, b"bcd"), (6, b"")]))
    assert parts == [
        Part(b"a", 4, 10, True),
        Part(b"bcd", 5, 10, True),
        Part(b"", 6, 10, True),
    ]
    uneven = Piece(source=source, start=0, stop=10)
    rows = [(row, b"x") for row in range(10)]
    assert sum(part.num_done for part in parts_of_rows(uneven, rows)) == 100


def test_a_row_is_counted_from_zero() -> None:
    rows = RowFormat(text_field="body")
    assert rows.place_of("/x", 7) == "/x, row 7 (the first is 0)"
    problem = rows.problem_of("/x", 7, 3)
    assert problem == "/x, row 7 (the first is 0) is not UTF-8 at byte 3 of the field 'body'"


def test_the_field_must_be_named() -> None:
    assert field_of("/x.parquet", Reading(text_field="body")) == "body"
    with pytest.raises(UserError, match=r"/x\.parquet holds rows: name the field"):
        field_of("/x.parquet", Reading())
