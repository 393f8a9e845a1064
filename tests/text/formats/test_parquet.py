"""Parquet: rows of a column, in pieces of row groups."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import TRAIN, documents, prepared, write
from samples import each_of, parquet
from terminal import textreel_without

from pipeline import UserError
from pipeline.text.bad_rows import RowError
from pipeline.text.formats.parquet import Parquet, find_row_groups, read_rows
from pipeline.text.pieces import Candidate, Reading

TEXTS = [f"row {number}" for number in range(25)]


def test_pieces_are_row_groups(tmp_path: Path) -> None:
    path = str(parquet(tmp_path / "x.parquet", TEXTS, row_groups=10))
    groups = find_row_groups(path, "text")
    assert groups == (10, 20, 25)
    rows = [(number, text.encode()) for number, text in enumerate(TEXTS)]
    assert each_of(read_rows(path, "text", groups, 0, 25)) == rows
    assert each_of(read_rows(path, "text", groups, 10, 25)) == rows[10:]
    assert each_of(read_rows(path, "text", groups, 10, 20)) == rows[10:20]
    candidate = Candidate(path=path, name="x", source_bytes=999, stem=path)
    source = Parquet.find(candidate, Reading(text_field="text"))
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
    assert each_of(rows) == [(0, b"a"), (1, "日".encode()), (2, b"a")]


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
    packed = write(tmp_path / "x.parquet.gz", gzip.compress(b"x"))
    with pytest.raises(UserError, match=r"x.parquet.gz: decompress it"):
        prepared(tmp_path, packed, text_field="text")


def test_a_column_of_the_name_wins_over_a_field_of_a_struct(tmp_path: Path) -> None:
    path = str(tmp_path / "x.parquet")
    structs = pa.array([{"text": "inner", "deep": {"er": "x"}}, None])
    pq.write_table(pa.table({"data": structs}), path)
    groups = find_row_groups(path, "data.text")
    with pytest.raises(RowError, match=r"the field 'data.text' is null"):
        each_of(read_rows(path, "data.text", groups, 0, 2))
    pq.write_table(pa.table({"data": structs[:1], "n": [1]}), path)
    assert each_of(read_rows(path, "data.text", (1,), 0, 1)) == [(0, b"inner")]
    assert each_of(
        read_rows(path, "data.deep.er", find_row_groups(path, "data.deep.er"), 0, 1)
    ) == [(0, b"x")]
    pq.write_table(pa.table({"data": structs[:1], "data.text": ["outer"]}), path)
    assert find_row_groups(path, "data.text") == (1,)
    assert each_of(read_rows(path, "data.text", (1,), 0, 1)) == [(0, b"outer")]


@pytest.mark.parametrize(
    ("columns", "field", "message"),
    [
        ({"data": [{"text": "x"}]}, "data", "the field 'data' is not a text but struct<"),
        (
            {"data": [{"text": "x"}]},
            "data.body",
            "has no field 'data.body'; the fields are: 'data'",
        ),
        ({"text": ["x"]}, "text.body", "has no field 'text.body'"),
        ({"text": [["x", "y"]]}, "text", "the field 'text' is not a text but list<"),
        ({"text": [[{"a": "x"}]]}, "text.a", "has no field 'text.a'"),
    ],
)
def test_what_is_no_text_is_named(
    tmp_path: Path, columns: dict[str, list[Any]], field: str, message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(UserError, match=f"x.parquet.*{message}"):
        prepared(tmp_path, tmp_path / "x.parquet", text_field=field)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x.parquet has 2 fields 'text': which one is meant\?"):
        prepared(tmp_path, tmp_path / "x.parquet", text_field="text")


def test_a_file_without_rows_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in/a.parquet")
    with pytest.raises(UserError, match=r"the text is empty: 1 without a row, such as .*a.parquet"):
        prepared(tmp_path, tmp_path / "in", splits=TRAIN, text_field="text")
    parquet(tmp_path / "in/b.parquet", ["one"])
    corpus = prepared(tmp_path, tmp_path / "in", splits=TRAIN, text_field="text")
    assert documents(corpus, "train") == [b"one"]


def test_it_is_told_by_its_first_and_last_bytes_as_well(tmp_path: Path) -> None:
    parquet(tmp_path / "part-00000", ["one", "two"])
    corpus = prepared(tmp_path, tmp_path / "part-00000", splits=TRAIN, text_field="text")
    assert documents(corpus, "train") == [b"one", b"two"]
    text = write(tmp_path / "x.txt", "PAR1 is a magic of four letters")
    corpus = prepared(tmp_path / "2", text, splits=TRAIN)
    assert documents(corpus, "train") == [text.read_bytes()]


def test_a_file_that_changed_since_the_plan_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", TEXTS, row_groups=10)
    groups = find_row_groups(str(path), "text")
    parquet(path, TEXTS[:20], row_groups=10)
    with pytest.raises(UserError, match=r"x.parquet has 24 rows, but had 25|damaged|changed"):
        each_of(read_rows(str(path), "text", groups, 0, 25))


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", TEXTS)
    arguments = ("prepare", path, "--output", tmp_path / "out", "--text_field", "text")
    result = textreel_without("pyarrow", *arguments)
    assert result.returncode == 1
    assert "reading .parquet needs a package: pip install 'textreel[formats]'" in result.stderr
    assert "Traceback" not in result.stderr
