"""Parquet: rows of a column, in pieces of row groups."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import TRAIN, prepared, write
from samples import parquet
from terminal import textreel_without

from pipeline import UserError
from pipeline.text.formats.parquet import Parquet, find_row_groups, read_rows
from pipeline.text.pieces import Reading

TEXTS = [f"row {number}" for number in range(25)]


def test_pieces_are_row_groups(tmp_path: Path) -> None:
    path = str(parquet(tmp_path / "x.parquet", TEXTS, row_groups=10))
    groups = find_row_groups(path, "text")
    assert groups == (10, 20, 25)
    rows = [(number, text.encode()) for number, text in enumerate(TEXTS)]
    assert list(read_rows(path, "text", groups, 0, 25)) == rows
    assert list(read_rows(path, "text", groups, 10, 25)) == rows[10:]
    assert list(read_rows(path, "text", groups, 10, 20)) == rows[10:20]
    source = Parquet.find(path, 999, "x", Reading(text_field="text"))
    assert source is not None
    assert (source.num_rows, source.length, source.source_bytes) == (25, 25, 999)
    assert [source.cut(row, 0) for row in (0, 1, 10, 11, 20, 21, 25)] == [
        10,
        10,
        10,
        20,
        20,
        25,
        25,
    ]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_kind_of_text_is_taken(tmp_path: Path, kind: pa.DataType) -> None:
    path = str(tmp_path / "x.parquet")
    pq.write_table(pa.table({"text": pa.array(["a", "日", "a"]).cast(kind)}), path)
    rows = read_rows(path, "text", find_row_groups(path, "text"), 0, 3)
    assert list(rows) == [(0, b"a"), (1, "日".encode()), (2, b"a")]


def test_bad_parquet_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", ["a", None])
    with pytest.raises(UserError, match=r"row 1 \(the first is 0\): the field 'text' is null"):
        prepared(tmp_path, path, splits=TRAIN, text_field="text")
    with pytest.raises(UserError, match=r"no field 'body'; the fields are: 'text', 'n'"):
        prepared(tmp_path, path, text_field="body")
    with pytest.raises(UserError, match=r"the field 'n' is not a text but int64"):
        prepared(tmp_path, path, text_field="n")
    with pytest.raises(UserError, match=r"x.parquet holds rows: name the field"):
        prepared(tmp_path, path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"x.parquet is no Parquet file, or is damaged"):
        prepared(tmp_path, path, text_field="text")
    packed = write(tmp_path / "x.parquet.gz", b"x")
    with pytest.raises(UserError, match=r"x.parquet.gz: decompress it"):
        prepared(tmp_path, packed, text_field="text")


def test_a_file_that_changed_since_the_plan_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", TEXTS, row_groups=10)
    groups = find_row_groups(str(path), "text")
    parquet(path, TEXTS[:20], row_groups=10)
    with pytest.raises(UserError, match=r"x.parquet has 24 rows, but had 25|damaged|changed"):
        list(read_rows(str(path), "text", groups, 0, 25))


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", TEXTS)
    arguments = ("prepare", path, "--output", tmp_path / "out", "--text_field", "text")
    result = textreel_without("pyarrow", *arguments)
    assert result.returncode == 1
    assert "reading .parquet needs a package: pip install 'textreel[formats]'" in result.stderr
    assert "Traceback" not in result.stderr
