"""Documents between delimiters, whatever the blocks and the cuts."""

import gzip
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from corpora import TRAIN, documents, prepared, write
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import each_of

from pipeline.text.formats.delimited import (
    cut_documents,
    find_document_start,
    look_behind,
    split_at,
    split_documents,
)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("document", "content", "expected"),
    [
        ("line", "a\n\nb\r\nc", ["a", "", "b\r", "c"]),
        ("blank_line", "a\nb\n\n\nc\r\n\r\nd\n", ["a\nb\n", "c\r\n", "d\n"]),
        ("<|endoftext|>", "a<|endoftext|>b\n<|endoftext|>", ["a", "b\n"]),
    ],
)
def test_documents_in_text(
    tmp_path: Path, document: str, content: str, expected: list[str], compressed: bool
) -> None:
    data = gzip.compress(content.encode()) if compressed else content
    path = write(tmp_path / ("x.txt.gz" if compressed else "x.txt"), data)
    corpus = prepared(tmp_path, path, splits=TRAIN, document=document)
    assert documents(corpus, "train") == [each.encode() for each in expected]


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab\n\r-", max_size=60),
    st.sampled_from(["line", "blank_line", "--", "-a-", "-\n"]),
    st.integers(1, 5),
    st.data(),
)
def test_documents_do_not_depend_on_blocks_or_cuts(
    content: str, document: str, block_bytes: int, data: st.DataObject
) -> None:
    def blocks(part: bytes) -> Iterator[bytes]:
        return (part[i : i + block_bytes] for i in range(0, len(part), block_bytes))

    encoded = content.encode()
    whole = each_of(split_documents([encoded], document))
    assert whole == list(_slowly(encoded, document))
    assert each_of(split_documents(blocks(encoded), document)) == whole
    offset = data.draw(st.integers(0, len(encoded)))
    start = max(0, offset - look_behind(document))
    cut = find_document_start(blocks(encoded[start:]), document, offset)
    cut = len(encoded) if cut is None else cut
    parts = [
        *each_of(split_documents(blocks(encoded[:cut]), document)),
        *each_of(split_documents(blocks(encoded[cut:]), document, cut)),
    ]
    assert parts == whole


def test_blank_lines_are_seen_whatever_the_blocks() -> None:
    """Every short text."""
    for letters in itertools.product(b"a\n\r", repeat=6):
        data = bytes(letters)
        expected = list(_slowly(data, "blank_line"))
        for size in (1, 2, 3, 6):
            blocks = (data[start : start + size] for start in range(0, 6, size))
            assert each_of(split_documents(blocks, "blank_line")) == expected, (data, size)


def _slowly(data: bytes, document: str) -> Iterator[tuple[int, bytes]]:
    """The documents as the module's table defines them, one after the other."""
    position = 0
    if document != "blank_line":
        delimiter = b"\n" if document == "line" else document.encode()
        texts = data.split(delimiter)
        for text in texts if texts[-1] else texts[:-1]:
            yield position, text
            position += len(text) + len(delimiter)
        return
    held: list[bytes] = []
    for line in [*data.split(b"\n")[:-1], None]:
        whole = data[position:] if line is None else line + b"\n"
        if whole in (b"\n", b"\r\n", b""):
            if held:
                yield position - len(b"".join(held)), b"".join(held)
                held = []
        elif line is None:
            yield position - len(b"".join(held)), b"".join([*held, whole])
            return
        else:
            held.append(whole)
        position += len(whole)


@pytest.mark.parametrize("document", ["--", "---", "-a-"])
def test_separators_that_overlap_themselves_are_cut_right(document: str) -> None:
    """Every short text, cut anywhere; for it matters how the text before the cut reads."""
    for length in range(1, 9):
        for letters in itertools.product(b"a-", repeat=length):
            content = bytes(letters)
            whole = each_of(split_documents([content], document))
            for offset in range(1, length):
                start = max(0, offset - look_behind(document))
                cut = find_document_start([content[start:]], document, offset)
                if cut is not None:
                    after = each_of(split_documents([content[cut:]], document, cut))
                    parts = [*each_of(split_documents([content[:cut]], document)), *after]
                    assert parts == whole, (content, offset)


@given(st.text("ab\n-", max_size=60), st.sampled_from(["\n", "--", "-a-"]))
def test_positions_are_where_the_text_stands(content: str, delimiter: str) -> None:
    data, end = content.encode(), delimiter.encode()
    found = each_of(split_at([data], end, 1000))
    expected = data.split(end)
    if not expected[-1]:
        expected.pop()  # no empty document follows the last delimiter
    assert [text for _, text in found] == expected
    for position, text in found:
        assert data[position - 1000 :].startswith(text)


def test_a_document_without_an_end_goes_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = str(write(tmp_path / "x", b"one\ntwo\nthree"))
    assert [cut_documents(path, 13, "line", offset) for offset in (0, 3, 4, 7, 8, 12)] == [
        4,
        4,
        8,
        8,
        13,
        13,
    ]


def test_a_line_longer_than_memory_should_need_is_a_document(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", b"a" * 5_000_000 + b"\nb\n")
    corpus = prepared(tmp_path, path, splits=TRAIN, document="line")
    assert [len(each) for each in documents(corpus, "train")] == [5_000_000, 1]


def test_rows_cut_off_by_the_end_of_a_block() -> None:
    rows = ["x" * size for size in (65_530, 65_535, 65_536, 65_537, 10)]
    found = each_of(split_documents(io.BytesIO("\n".join(rows).encode()), "line"))
    assert [text.decode() for _, text in found] == rows
