"""Rows are held in memory as a whole: one that is too long is named before it is."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from corpora import prepared, write

from pipeline import OptionError, PrepareOptions, UserError

LONG, SHORT = "x" * 5000, "y" * 900
TRAIN = {"splits": {"train": 1.0}, "max_row_bytes": 1000}


def jsonl(*texts: str) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def parquet(path: Path, *texts: str, dictionary: bool = False) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.array(texts)
    pq.write_table(pa.table({"text": column.dictionary_encode() if dictionary else column}), path)
    return path


@pytest.mark.parametrize(
    ("name", "data", "options", "place"),
    [
        ("a.txt", f"{SHORT}\n{LONG}\n", {"document": "line"}, "the document at byte 901"),
        ("a.txt", f"a\n\n{SHORT}\n{SHORT}\n", {"document": "blank_line"}, "at byte 3"),
        ("a.txt", f"{SHORT}--{LONG}--", {"document": "--"}, "the document at byte 902"),
        ("a.jsonl", jsonl(SHORT, LONG), {"text_field": "text"}, r"a\.jsonl, line 2"),
        ("a.jsonl.gz", gzip.compress(jsonl(SHORT, LONG)), {"text_field": "text"}, "line 2"),
        ("a.txt.gz", gzip.compress(b"z" * 10**6), {"document": "line"}, "at byte 0"),
    ],
)
def test_a_long_row_is_named(
    tmp_path: Path, name: str, data: str | bytes, options: dict[str, Any], place: str
) -> None:
    source = write(tmp_path / name, data)
    message = f"{place}.*longer than 1000 bytes.*--max_row_bytes"
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, source, **TRAIN, **options)
    limit = {**TRAIN, **options, "max_row_bytes": 2 * 10**6}
    assert prepared(tmp_path, source, **limit).splits["train"].num_documents >= 1


@pytest.mark.parametrize("dictionary", [False, True])
def test_rows_of_parquet(tmp_path: Path, dictionary: bool) -> None:
    source = parquet(tmp_path / "a.parquet", SHORT, SHORT, LONG, dictionary=dictionary)
    with pytest.raises(UserError, match=r"row 2 \(the first is 0\).*longer than 1000 bytes"):
        prepared(tmp_path, source, **TRAIN, text_field="text")
    limit = {**TRAIN, "max_row_bytes": 5000}
    corpus = prepared(tmp_path, source, **limit, text_field="text")
    assert corpus.splits["train"].text_bytes == 2 * len(SHORT) + len(LONG)


def test_memory_follows_the_limit(tmp_path: Path) -> None:
    """300 MB in one line, from 300 kB of file."""
    import resource

    with gzip.open(tmp_path / "a.jsonl.gz", "wb") as file:
        file.write(b'{"text": "')
        for _ in range(300):
            file.write(b"x" * 10**6)
        file.write(b'"}\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="longer than 10000000 bytes"):
        prepared(
            tmp_path,
            tmp_path / "a.jsonl.gz",
            splits={"train": 1.0},
            max_row_bytes=10**7,
            text_field="text",
        )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_a_document_that_fills_its_source_has_no_limit(tmp_path: Path) -> None:
    corpus = prepared(tmp_path, write(tmp_path / "a.txt", LONG * 100), **TRAIN)
    assert corpus.splits["train"].text_bytes == 500_000


def test_the_limit_is_a_number() -> None:
    with pytest.raises(OptionError, match="`max_row_bytes` must be an integer of at least 1"):
        PrepareOptions(max_row_bytes=0)
