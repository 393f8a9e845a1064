"""Documents of a piece in batches, and where an error lies."""

import gzip
import random
from pathlib import Path

import pytest
from corpora import write
from samples import json_lines

from pipeline.errors import UserError
from pipeline.files import BLOCK_BYTES
from pipeline.text import documents
from pipeline.text.documents import document_batches, errors_name, read_parts
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


def test_batches_are_the_documents_a_few_at_a_time(tmp_path: Path) -> None:
    rows = ["x" * size for size in (1, BLOCK_BYTES - 2, 5, BLOCK_BYTES, 0, 7)]
    piece = whole(json_lines(tmp_path / "x.jsonl", rows), text_field="text")
    batches = list(document_batches(piece))
    assert (
        [[part.text.decode() for part in batch] for batch in batches]
        == [
            rows[:3],  # one more than a block holds
            rows[3:4],
            rows[4:],
        ]
    )
    assert [part for batch in batches for part in batch] == list(read_parts(piece))


def test_no_batch_has_very_many_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_BATCH_DOCUMENTS", 3)
    piece = whole(write(tmp_path / "x", "a\n" * 7), document="line")
    assert [len(batch) for batch in document_batches(piece)] == [3, 3, 1]


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
