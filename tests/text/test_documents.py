"""Documents of a piece in batches, and where an error lies."""

import gzip
import random
from pathlib import Path

import pytest
from corpora import write
from samples import json_lines

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES
from pipeline.text.documents import errors_name, read_documents, read_parts
from pipeline.text.pieces import Piece, Reading, Source
from pipeline.text.sources import find_sources


def whole(path: Path, **reading: str) -> Piece:
    (source,) = find_sources([path], reading=Reading(**reading)).sources
    return Piece(source=source, start=0, stop=source.length)


def test_a_document_that_fills_its_source_comes_in_blocks(tmp_path: Path) -> None:
    data = random.Random(0).randbytes(3 * BLOCK_BYTES + 5)
    parts = list(read_parts(whole(write(tmp_path / "x", data))))
    assert [len(part.text) for part in parts] == [BLOCK_BYTES] * 3 + [5]
    assert b"".join(part.text for part in parts) == data
    assert [part.final for part in parts] == [False, False, False, True]
    assert {part.position for part in parts} == {0}
    assert sum(part.num_done for part in parts) == len(data)


def test_documents_come_as_they_end_in_a_block(tmp_path: Path) -> None:
    rows = ["a", "x" * (BLOCK_BYTES - 10), "y" * 100, "z" * (2 * BLOCK_BYTES), "", "b"]
    path = write(tmp_path / "x", "\n".join(rows))
    piece = whole(path, document="line")
    found = list(read_documents(piece))
    assert [[text.decode() for text in each.texts] for each in found] == [
        rows[:2],
        rows[2:3],
        rows[3:5],
        rows[5:],
    ]
    assert sum(each.num_done for each in found) == path.stat().st_size
    parts = list(read_parts(piece))
    assert [part.text.decode() for part in parts] == rows
    assert [part.position for part in parts] == [p for each in found for p in each.positions]
    assert [part.num_done for part in parts if part.num_done] == [e.num_done for e in found[:-1]]
    assert all(part.final for part in parts)


def test_blocks_without_a_row_are_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", "\n" * 3 * BLOCK_BYTES + '{"text": "a"}\n')
    (documents,) = read_documents(whole(path, text_field="text"))
    assert documents.texts == [b"a"]


def test_a_row_without_a_text_is_named(tmp_path: Path) -> None:
    piece = whole(write(tmp_path / "x.jsonl", '{"text": "a"}\n{"n": 1}\n'), text_field="text")
    with pytest.raises(UserError, match=r"x\.jsonl, line 2: no field 'text'"):
        list(read_parts(piece))


def source_of(path: Path, **reading: str) -> Source:
    return whole(path, **reading).source


def test_errors_of_the_encoding_are_placed(tmp_path: Path) -> None:
    plain = write(tmp_path / "x.txt", "text")
    packed = write(tmp_path / "x.gz", gzip.compress(b"text"))
    rows = json_lines(tmp_path / "x.jsonl", ["text"] * 3)
    for source, place in [
        (source_of(plain), r"x\.txt is not UTF-8 at byte 12 \("),
        (source_of(packed), r"x\.gz is not UTF-8 at byte 12 of its text \("),
        (source_of(rows, text_field="text"), r"line 1 is not UTF-8 at byte 2 of the field 'text'"),
    ]:
        with (
            pytest.raises(UserError, match=place + r".*--vocabulary byte"),
            errors_name(source, 10),
        ):
            b"ab\xff".decode()


def test_errors_of_a_user_name_the_document_once(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "a\nb\n")
    lines = source_of(path, document="line")
    with (
        pytest.raises(UserError, match=r"x\.txt, the document at byte 2: it lacks 'b'$"),
        errors_name(lines, 2),
    ):
        raise UserError("it lacks 'b'")
    with pytest.raises(UserError) as raised, errors_name(lines, 2):
        raise UserError(f"{path} is damaged")
    assert str(raised.value) == f"{path} is damaged"
    with pytest.raises(ZeroDivisionError), errors_name(lines, 2):
        _ = 1 / 0
