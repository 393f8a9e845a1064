"""Rows without a text: an error that names one, or skipped and counted, the same ones anywhere."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpora import TRAIN, documents, files, flip, prepared, shard_files, write
from hypothesis import given, settings
from hypothesis import strategies as st
from terminal import textreel

from pipeline import OptionError, PrepareOptions, UserError, open_corpus, prepare
from pipeline.auditing.repair import repair
from pipeline.auditing.trace import trace
from pipeline.auditing.verify import verify
from pipeline.layout.manifest import SkippedRows
from pipeline.preparing import shards
from pipeline.text.bad_rows import BadRow, RowError, Skipped
from pipeline.text.formats.json_array import read_json_array
from pipeline.text.formats.json_lines import read_json_lines

SKIP = {"text_field": "text", "on_bad_row": "skip"}
GOOD = [f"row {number} 日本" for number in range(200)]
BAD = (
    b"{",
    b"[1]",
    b'{"body": "x"}',
    b'{"text": null}',
    b'{"text": 5}',
    b'{"text": "\xff"}',
    b'{"text": "\\ud800"}',
    b'{"text": "a"} {"text": "b"}',
)
REASONS = (
    "not valid JSON",
    "not a JSON object",
    "no field 'text'",
    "the field 'text' is not a text",
    "the field 'text' is not a text",
    "not UTF-8",
    "the field 'text' has half a surrogate pair",
    "not valid JSON",
)


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode()


def with_bad_lines(*, every: int = 3) -> bytes:
    """The good rows, and a bad one after each few."""
    lines = []
    for number, text in enumerate(GOOD):
        lines.append(line(text))
        if number % every == 1:
            lines.append(BAD[number // every % len(BAD)])
    return b"\n".join(lines)


def parquet(path: Path, rows: list[bytes | None]) -> Path:
    pq.write_table(pa.table({"text": pa.array(rows, pa.binary())}), path, row_group_size=16)
    return path


# JSON values, and bytes that are none.
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "a", ""]), inner),
    max_leaves=4,
)
LINES = st.one_of(
    st.text().map(line),
    st.text(st.characters(codec=None)).map(line),  # surrogates too
    VALUES.map(lambda value: json.dumps(value).encode()),
    VALUES.map(
        lambda value: json.dumps({"text": value}, ensure_ascii=False).encode(errors="replace")
    ),
    st.binary(max_size=20),
    st.sampled_from([b"", b"  ", b"\r", *BAD]),
).map(lambda data: data.replace(b"\n", b""))


def text_by_json(data: bytes, *, is_first: bool = False) -> bytes | None:
    """The text of a row as the standard library reads it; `None` of a bad one."""
    try:
        return json.loads(data.decode("utf-8-sig" if is_first else "utf-8"))["text"].encode()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


@given(st.lists(LINES, max_size=12), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_the_lines_that_json_does_not_read_are_bad(lines: list[bytes], block_bytes: int) -> None:
    data = b"\n".join(lines)
    blocks = [data[start : start + block_bytes] for start in range(0, len(data), block_bytes)]
    good: list[tuple[int, bytes]] = []
    bad: list[int] = []
    position = 0
    for number, each in enumerate(lines):
        if each and not each.isspace():
            text = text_by_json(each, is_first=number == 0)
            if text is None:
                bad.append(position)
            else:
                good.append((position, text))
        position += len(each) + 1
    found = list(read_json_lines(blocks, "text"))
    assert [p for some in found for p in zip(some.positions, some.texts, strict=True)] == good
    assert [error.position for some in found for error in some.bad] == bad


@given(st.lists(VALUES | st.dictionaries(st.just("text"), VALUES)), st.integers(1, 40))
@settings(max_examples=80, deadline=None)
def test_the_elements_that_have_no_text_are_bad(rows: list[Any], block_bytes: int) -> None:
    data = json.dumps(rows).encode()
    blocks = [data[start : start + block_bytes] for start in range(0, len(data), block_bytes)]
    wanted = {number: text_by_json(json.dumps(row).encode()) for number, row in enumerate(rows)}
    found = list(read_json_array(blocks, "text"))
    texts = {p: text for some in found for p, text in zip(some.positions, some.texts, strict=True)}
    assert texts == {number: text for number, text in wanted.items() if text is not None}
    bad = [error.position for some in found for error in some.bad]
    assert bad == [number for number, text in wanted.items() if text is None]


@pytest.mark.parametrize("vocabulary", ["byte", "char", "bpe:300"])
def test_what_is_left_is_as_if_they_had_never_been(tmp_path: Path, vocabulary: str) -> None:
    options = {**SKIP, "vocabulary": vocabulary, "splits": {"train": 0.7, "test": 0.3}}
    source = write(tmp_path / "bad/x.jsonl", with_bad_lines())
    corpus = prepared(tmp_path / "bad", source, **options)
    plain = write(tmp_path / "good/x.jsonl", b"\n".join(map(line, GOOD)))
    wanted = prepared(tmp_path / "good", plain, **options)
    for split in options["splits"]:
        assert documents(corpus, split) == documents(wanted, split)
    assert wanted.manifest.skipped == ()
    (skipped,) = corpus.manifest.skipped
    assert skipped.num_rows == corpus.manifest.num_skipped == 67
    assert [reason for _, _, reason in skipped.first] == list(REASONS[:5])
    data = source.read_bytes()
    for (position, unit, _), bad in zip(skipped.first, BAD, strict=False):
        assert unit == "byte"
        assert data[position : position + len(bad)] == bad


@pytest.mark.parametrize("bad", range(len(BAD)))
def test_without_it_the_first_is_named_with_the_remedy(tmp_path: Path, bad: int) -> None:
    source = write(tmp_path / "x.jsonl", line("a") + b"\n" + BAD[bad])
    with pytest.raises(UserError, match=r"x\.jsonl, line 2: .*`--on_bad_row skip` leaves"):
        prepared(tmp_path, source, text_field="text", splits=TRAIN)


@pytest.mark.parametrize("vocabulary", ["byte", "char"])
def test_rows_of_parquet(tmp_path: Path, vocabulary: str) -> None:
    rows: list[bytes | None] = [*(text.encode() for text in GOOD)]
    rows[3], rows[40], rows[41] = None, b"\xff\xfe", b"x" * 500
    source = parquet(tmp_path / "x.parquet", rows)
    limit = {"splits": TRAIN, "vocabulary": vocabulary, "max_row_bytes": 100}
    with pytest.raises(UserError, match=r"row 3 .* is null; `--on_bad_row skip`"):
        prepared(tmp_path, source, **limit, text_field="text")
    corpus = prepared(tmp_path, source, **limit, **SKIP)
    wanted = [(3, "the field 'text' is null"), (40, "not UTF-8"), (41, "longer than 100 bytes")]
    if vocabulary == "byte":  # which takes any bytes
        del wanted[1]
    (skipped,) = corpus.manifest.skipped
    assert skipped == (0, len(wanted), tuple((row, "row", why) for row, why in wanted))
    bad = [row for row, _ in wanted]
    kept = [text for row, text in enumerate(rows) if row not in bad]
    assert documents(corpus, "train") == kept


def test_bytes_that_are_no_text_have_the_remedy_too(tmp_path: Path) -> None:
    source = parquet(tmp_path / "x.parquet", [b"a", b"\xff"])
    with pytest.raises(UserError, match=r"row 1 .* is not UTF-8 .*`--on_bad_row skip`"):
        prepared(tmp_path, source, text_field="text", vocabulary="char", splits=TRAIN)


def test_elements_of_an_array(tmp_path: Path) -> None:
    rows: list[Any] = [{"text": "a"}, 5, {"text": None}, {"text": "b"}, {}]
    source = write(tmp_path / "x.json", json.dumps(rows))
    corpus = prepared(tmp_path, source, **SKIP, splits=TRAIN)
    assert documents(corpus, "train") == [b"a", b"b"]
    (skipped,) = corpus.manifest.skipped
    assert [(row, unit) for row, unit, _ in skipped.first] == [(1, "row"), (2, "row"), (4, "row")]
    write(source, json.dumps(rows)[:-1])
    with pytest.raises(UserError, match="not valid JSON"):  # nobody knows where it would go on
        prepare([source], tmp_path / "cut", PrepareOptions(**SKIP, splits=TRAIN))


def test_a_line_that_is_too_long_is_not_held(tmp_path: Path) -> None:
    """Nor is what it says: its end may come blocks later."""
    lines = [line("a"), b'{"text": "' + b"x" * 500_000 + b'"}', line("b"), line("y" * 2000), b"["]
    source = write(tmp_path / "x.jsonl", b"\n".join(lines) + b"\n" + line("z" * 400_000))
    corpus = prepared(tmp_path, source, **SKIP, splits=TRAIN, max_row_bytes=1000)
    assert documents(corpus, "train") == [b"a", b"b"]
    (skipped,) = corpus.manifest.skipped
    places = [len(b"\n".join(lines[:number])) + 1 for number in (1, 3, 4, 5)]
    assert [place for place, _, _ in skipped.first] == places
    reasons = [reason for _, _, reason in skipped.first]
    assert reasons == ["longer than 1000 bytes"] * 2 + [REASONS[0], "longer than 1000 bytes"]


OPTIONS = {**SKIP, "vocabulary": "char", "splits": {"train": 0.7, "test": 0.3}, "shard_bytes": 3000}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write(tmp_path / "in/a.jsonl", with_bad_lines())
    write(tmp_path / "in/b.jsonl", b"\n".join(map(line, GOOD)))
    write(tmp_path / "in/c.jsonl", with_bad_lines(every=7))
    return tmp_path / "in"


def test_the_count_is_the_same_for_any_workers_and_interruption(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = PrepareOptions(**OPTIONS)
    manifest = prepare([sources], tmp_path / "1", options, workers=1)
    assert [(skipped.source_index, skipped.num_rows) for skipped in manifest.skipped] == [
        (0, 67),
        (2, 29),
    ]
    assert all(len(skipped.first) == 5 for skipped in manifest.skipped)
    flags = ["--text_field", "text", "--on_bad_row", "skip", "--vocabulary", "char"]
    flags += ["--splits", "train=0.7,test=0.3", "--shard_bytes", "3000", "--workers", "3"]
    result = textreel("prepare", sources, "--output", tmp_path / "3", *flags)
    assert result.returncode == 0, result.stderr
    assert files(tmp_path / "3") == files(tmp_path / "1")
    write_shard, count = shards.write_shard, iter(range(100))
    with monkeypatch.context() as context:

        def failing(*given: Any, **others: Any) -> Any:
            if next(count) == 3:
                raise KeyboardInterrupt
            return write_shard(*given, **others)

        context.setattr("pipeline.preparing.prepare.write_shard", failing)
        with pytest.raises(KeyboardInterrupt):
            prepare([sources], tmp_path / "2", options, workers=1)
    prepare([sources], tmp_path / "2", options, workers=1)
    assert files(tmp_path / "2") == files(tmp_path / "1")
    assert open_corpus(tmp_path / "2").manifest == manifest


def test_audits_know_of_them(sources: Path, tmp_path: Path) -> None:
    prepare([sources], tmp_path / "out", PrepareOptions(**OPTIONS), workers=1)
    whole = files(tmp_path / "out")
    assert verify(tmp_path / "out").problems == ()
    flip(shard_files(tmp_path / "out")[1], 20)
    repair(tmp_path / "out", [sources])
    assert files(tmp_path / "out") == whole


def test_a_trace_does_not_name_a_row_that_it_cannot_know(tmp_path: Path) -> None:
    rows: list[bytes | None] = [b"first row", None, b"second row"]
    for skips, document in [(False, "row 1"), (True, "document 1 of those from rows 0-2")]:
        source = parquet(tmp_path / f"{skips}.parquet", rows if skips else [rows[0], rows[2]])
        corpus = prepared(
            tmp_path / str(skips),
            source,
            splits=TRAIN,
            **(SKIP if skips else {"text_field": "text"}),
        )
        (window,) = trace(corpus, "train", step=0, seq_len=19, batch_size=1, seed=None)
        named = window.passages[1].document
        assert named.startswith(document)
        assert named.endswith("bad rows not counted") == skips


def test_commands_tell_of_them(sources: Path, tmp_path: Path) -> None:
    flags = ["--text_field", "text", "--on_bad_row", "skip"]
    result = textreel("prepare", sources, "--output", tmp_path / "out", *flags)
    assert result.returncode == 0, result.stderr
    told = "skipped: 96 bad rows of 2 sources (`--on_bad_row skip`), such as"
    assert told in result.stdout.splitlines()
    place = len(line(GOOD[0]) + line(GOOD[1])) + 2
    assert f"  a.jsonl: 67: byte {place} (not valid JSON), byte " in result.stdout
    assert told in textreel("inspect", tmp_path / "out").stdout.splitlines()
    planned = textreel("plan", sources, *flags)
    assert planned.returncode == 0, planned.stderr
    assert "588 documents" in planned.stdout  # 0.98 of 600
    refused = textreel("plan", sources, *flags[:2])
    assert refused.returncode == 1
    assert "`--on_bad_row skip`" in refused.stderr


def test_all_of_them_bad_is_no_text(tmp_path: Path) -> None:
    source = write(tmp_path / "x.jsonl", b"\n".join(BAD))
    with pytest.raises(
        UserError,
        match=r"no byte of text beside 8 bad rows \(skipped, see `on_bad_row`\) in 1 source",
    ):
        prepared(tmp_path, source, **SKIP)


def test_where_there_are_no_rows_it_has_no_effect(tmp_path: Path) -> None:
    source = write(tmp_path / "x.txt", "text")
    with pytest.raises(OptionError, match="`on_bad_row` skip has no effect"):
        prepared(tmp_path, source, on_bad_row="skip")
    with pytest.raises(OptionError, match="`on_bad_row` must be"):
        PrepareOptions(on_bad_row="ignore")


def test_the_first_places_are_those_of_the_first_piece() -> None:
    first, second = Skipped(), Skipped()
    for skipped, start, count in [(first, 0, 3), (second, 100, 9)]:
        for number in range(count):
            skipped.add(RowError(start + number, "wrong", f": {number}"), "row")
    assert (first.num_rows, second.num_rows, len(second.first)) == (3, 9, 5)
    first.join(second)
    assert first.num_rows == 12
    assert first.first == tuple(BadRow(at, "row", "wrong") for at in (0, 1, 2, 100, 101))
    assert SkippedRows(0, 12, first.first).first[0] == (0, "row", "wrong")
