"""`textreel inspect`: a corpus on one screen."""

from pathlib import Path

import pytest
from corpora import TRAIN, make, prepared, text, write
from terminal import textreel
from tfrecords import contents_of, write_records

from pipeline import OptionError, index_records, open_records
from pipeline.auditing.record_quality import measure_records
from pipeline.auditing.shuffle_quality import measure
from pipeline.cli import build_parser
from pipeline.commands.inspect import corpus_text, index_text, shuffle_text


def test_it_shows_what_a_corpus_is(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(20_000), vocabulary="char", shard_bytes=5000)
    screen = textreel("inspect", corpus.directory).stdout
    assert screen == corpus_text(corpus) + "\n"
    assert f"char, {corpus.vocabulary.size} ids, stored as uint8, separator 0" in screen
    assert f"fingerprint {corpus.fingerprint[:12]}" in screen
    for name, split in corpus.splits.items():
        (line,) = [line for line in screen.splitlines() if line.startswith(f"{name} ")][:1]
        words = line.split()
        assert words[1:4] == [f"{split.num_tokens:,}", "1", str(len(split.shards))]
        assert words[-2] == f"{split.text_bytes / split.num_tokens:.4f}"
    assert f"train begins {text(20_000)[:70]!r}" in screen


def test_subwords_are_named(tmp_path: Path) -> None:
    corpus = make(tmp_path, text(20_000), vocabulary="bpe:300")
    assert "subword, 300 ids" in corpus_text(corpus)


def test_what_is_no_corpus_is_refused(tmp_path: Path) -> None:
    result = textreel("inspect", write(tmp_path / "TEXT", "text"))
    assert result.returncode == 1
    assert "textreel: error:" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_table_of_shuffles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        write(tmp_path / f"in/{number}.txt", f"source {number} " * 1000)
    corpus = prepared(tmp_path, str(tmp_path / "in"), splits=TRAIN)
    arguments = ["inspect", corpus.directory, "--shuffle", "--seq_len", "16", "--batch_size", "8"]
    parsed = build_parser().parse_args(arguments)
    parsed.run(parsed)
    printed = capsys.readouterr().out
    comparison = measure(corpus, "train", seq_len=16, batch_size=8)
    assert f"{comparison.ours.median_distance:,.0f}" in printed
    assert f"a buffer of {comparison.num_windows:,}" in printed
    assert f"{comparison.perfect.same_batch:,} (" in printed
    assert f"{comparison.ours.variance:.2f}" in printed
    assert f"8: {comparison.host_bytes[8]:.2f}" in printed
    assert "neighbours in one batch" in printed


def inspected(*arguments: str) -> None:
    parsed = build_parser().parse_args(["inspect", *arguments])
    parsed.run(parsed)


def test_an_index_is_shown_with_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        write_records(tmp_path / f"x-{number:02}", contents_of(100 * number, seed=number))
    index_records([tmp_path / "x-*"], tmp_path / "index", workers=1)
    records = open_records(tmp_path / "index")
    inspected(str(tmp_path / "index"))
    assert capsys.readouterr().out == index_text(records.index) + "\n"
    lines = index_text(records.index).splitlines()
    assert lines[1].startswith("records:     6,600, ")
    assert lines[2] == "checked:     lengths"
    assert len(lines) == 4 + 10 + 1
    assert lines[-2].split()[0] == "1,100"
    assert lines[-2].endswith("/x-11")
    assert lines[-1] == f"{2:>13} smaller ones"
    inspected(str(tmp_path / "index"), "--shuffle", "--batch_size", "10")
    table = shuffle_text(measure_records(records, batch_size=10), of="records")
    assert capsys.readouterr().out == index_text(records.index) + "\n" + table + "\n"
    assert "shuffle of 6,600 records, by " in table
    for flags in (["--split", "train"], ["--seq_len", "9"], ["--stride", "0"]):
        with pytest.raises(OptionError, match=rf"`{flags[0][2:]}` has no effect on records: "):
            inspected(str(tmp_path / "index"), *flags)
