"""`textreel trace`: of a corpus by flags, of a run by what the run says."""

from pathlib import Path

import pytest
from corpora import prepared, text, write
from terminal import textreel
from tfrecords import contents_of, write_records

from pipeline import Corpus, OptionError, index_records, open_records
from pipeline.auditing.passages import Passage
from pipeline.auditing.record_trace import trace_records
from pipeline.auditing.trace import TracedWindow, Training, trace, trace_lanes
from pipeline.commands.trace import add_arguments, record_text, row_text
from pipeline.parsing import CommandParser
from pipeline.reading.batches import Batches

OPTIONS = {"seq_len": 30, "stride": 11, "batch_size": 8, "seed": 3}
FLAGS = [f"--{name}={value}" for name, value in OPTIONS.items()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    write(folder / "in/large.txt", text(5000))
    for index in range(60):
        write(folder / f"in/{index}.txt", text(100, seed=index + 1))
    return prepared(folder, str(folder / "in"), shard_bytes=2000, record_tokens=70)


def test_a_window_of_a_corpus(corpus: Corpus) -> None:
    result = textreel("trace", corpus.directory, "--step", 4, "--row", 2, *FLAGS)
    assert result.returncode == 0, result.stderr
    (window,) = trace(corpus, "train", step=4, rows=[2], **OPTIONS)
    assert result.stdout == row_text(window) + "\n"
    assert textreel("trace", "--step", 4).returncode == 2
    assert textreel("trace", corpus.directory).returncode == 2
    assert textreel("trace", f"{corpus.directory}/absent", "--step", 4).returncode == 1


def test_a_row_is_shown_with_its_places() -> None:
    window = TracedWindow(
        row=2,
        position=34,
        epoch=1,
        window=7,
        shard="text-train",
        first_token=77,
        text="a\nb",
        passages=(
            Passage(source="x.txt", start=5, stop=9),
            Passage(source="y", start=0, stop=3, document="row 8"),
        ),
    )
    assert row_text(window) == (
        "row 2 (epoch 1, window 7, text-train token 77)\n"
        "  x.txt bytes 5-8; y row 8, bytes 0-2\n"
        "  'a\\nb'"
    )


def shown(capsys: pytest.CaptureFixture[str], training: Training | None, *arguments: object) -> str:
    """What the command prints where a run says that it trains on this."""
    asked = []

    def training_of(directory: str) -> Training | None:
        asked.append(directory)
        return training

    parser = CommandParser()
    add_arguments(parser, training_of)
    parsed = parser.parse_args([*map(str, arguments)])
    parsed.run(parsed)
    assert asked == [str(arguments[0])]
    return capsys.readouterr().out


def test_a_run_knows_all_but_the_step(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    training = Training(
        corpus=corpus.directory, split="train", batches=Batches(**OPTIONS), lanes=False
    )
    by_flags = shown(capsys, None, corpus.directory, "--step", 4, "--row", 2, *FLAGS)
    assert shown(capsys, training, "RUN", "--step", 4, "--row", 2) == by_flags
    # What the flags say goes before what the run says.
    for flag, change in (("--seed=4", {"seed": 4}), ("--stride=7", {"stride": 7})):
        windows = trace(corpus, "train", step=4, **{**OPTIONS, **change})
        expected = "".join(row_text(window) + "\n" for window in windows)
        assert shown(capsys, training, "RUN", "--step", 4, flag) == expected
    validation = trace(corpus, "validation", step=0, rows=[0], **OPTIONS)
    flags = ("--step", 0, "--row", 0, "--split", "validation")
    assert shown(capsys, training, "RUN", *flags) == row_text(validation[0]) + "\n"


def test_the_defaults_of_a_corpus_are_those_of_training(
    corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    (window,) = trace(corpus, "train", step=0, rows=[63], seq_len=64, batch_size=64)
    printed = shown(capsys, None, corpus.directory, "--step", 0, "--row", 63)
    assert printed == row_text(window) + "\n"


def test_lanes(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    (lane,) = trace_lanes(corpus, "train", step=4, rows=[2], seq_len=30, batch_size=8)
    flags = ["--lanes", "--seq_len=30", "--batch_size=8"]
    result = textreel("trace", corpus.directory, "--step", 4, "--row", 2, *flags)
    assert f"row 2 (round {lane.round}, token {lane.first_token} of the split)" in result.stdout
    assert repr(lane.text) in result.stdout
    batches = Batches(seq_len=30, batch_size=8)
    training = Training(corpus=corpus.directory, split="train", batches=batches, lanes=True)
    assert shown(capsys, training, "RUN", "--step", 4, "--row", 2) == result.stdout


def test_a_mistake_has_a_message(corpus: Corpus, tmp_path: Path) -> None:
    for flags, code, message in [
        (["--step=-1"], 2, "--step must be an integer of at least 0, got -1"),
        (["--step=0", "--row=8", *FLAGS], 2, "--row must be in 0 … --batch_size - 1, got 8 of 8"),
        (["--step=0", "--split=test"], 1, "no split 'test'"),
    ]:
        result = textreel("trace", corpus.directory, *flags)
        assert (result.returncode, "Traceback" in result.stderr) == (code, False)
        assert message in result.stderr


def test_records_of_an_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_records(tmp_path / "x", contents_of(2000))
    index = str(index_records([path], tmp_path / "index", workers=1).directory)
    records = open_records(index)
    for flags, options in (
        ((), {"batch_size": 64}),
        (("--batch_size=5", "--seed=2"), {"batch_size": 5, "seed": 2}),
        (("--row=3",), {"batch_size": 64, "rows": [3]}),
    ):
        expected = [record_text(row) for row in trace_records(records, step=40, **options)]
        parser = CommandParser()
        add_arguments(parser)
        parsed = parser.parse_args([index, "--step", "40", *flags])
        parsed.run(parsed)
        assert capsys.readouterr().out.splitlines() == expected
    (row,) = trace_records(records, step=40, batch_size=64, rows=[3])
    assert record_text(row) == (
        f"row 3 (epoch 1, record {row.record:,}): {path} record {row.number:,} at byte {row.offset}"
    )
    for flag in ("--split=train", "--seq_len=3", "--stride=1", "--lanes"):
        parsed = parser.parse_args([index, "--step", "40", flag])
        with pytest.raises(OptionError, match=r"has no effect on records: .* is an index of TFR"):
            parsed.run(parsed)
