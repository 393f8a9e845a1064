"""`textreel trace`: which text, or which records, were in the batch of a step?"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.auditing.passages import passage_text
from pipeline.auditing.record_trace import TracedRecord, trace_records
from pipeline.auditing.trace import TracedLane, TracedWindow, Training, trace, trace_lanes
from pipeline.commands.flags import add_json, refuse_corpus_flags
from pipeline.layout.record_index import is_index
from pipeline.options import check_int, path_flag
from pipeline.parsing import CommandParser, integer
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN, Batches
from pipeline.reading.opening import open_corpus
from pipeline.reading.tfrecords.records import open_records
from pipeline.terminal import show, show_json

TrainingOf = Callable[[str], Training | None]  # the directory of a run -> what it trains on


def add_arguments(parser: CommandParser, training_of: TrainingOf | None = None) -> None:
    """Adds what `trace` takes to its parser.

    Args:
        parser: that of the command.
        training_of: returns what a run trains on, `None` of a directory that is no run; without
            it, the command takes corpora alone.
    """
    a_run = "" if training_of is None else ", or of a run, which knows all but the step"
    parser.add_argument(
        "directory",
        type=path_flag,
        metavar="CORPUS|INDEX" if training_of is None else "RUN|CORPUS|INDEX",
        help=f"directory of the corpus, or of an index of TFRecord files{a_run}",
    )
    parser.add_argument(
        "--step", type=integer, required=True, metavar="K", help="the batch, from 0"
    )
    parser.add_argument("--row", type=integer, metavar="R", help="only this row of the batch")
    parser.add_argument("--split", metavar="NAME", help="name of the split (default: train)")
    for option, text in {
        "seq_len": f"tokens of an input (default: {DEFAULT_SEQ_LEN})",
        "stride": "tokens between windows (default: the --seq_len)",
        "batch_size": f"rows of the global batch (default: {DEFAULT_BATCH_SIZE})",
        "seed": "of the shuffle (default: 0)",
    }.items():
        parser.add_argument(f"--{option}", type=integer, metavar="N", help=text)
    parser.add_argument("--lanes", action="store_true", help="lanes were read, not windows")
    add_json(parser)
    parser.set_defaults(run=lambda arguments: _run(arguments, training_of))


def _run(arguments: argparse.Namespace, training_of: TrainingOf | None) -> None:
    check_int(arguments, 0, "step")
    rows = None if arguments.row is None else [arguments.row]
    if is_index(arguments.directory):
        refuse_corpus_flags(arguments, "split", "seq_len", "stride", "lanes")
        given = {"batch_size": arguments.batch_size, "seed": arguments.seed}
        defaults = {"batch_size": DEFAULT_BATCH_SIZE, "seed": 0}
        options = {
            name: defaults[name] if value is None else value for name, value in given.items()
        }
        records = open_records(arguments.directory)
        found = trace_records(records, step=arguments.step, rows=rows, **options)
        _show_rows(arguments, found, record_text)
        return
    training = _given(arguments, training_of and training_of(arguments.directory))
    corpus = open_corpus(training.corpus)
    batches: dict[str, Any] = {
        "step": arguments.step,
        "rows": rows,
        "seq_len": training.batches.seq_len,
        "batch_size": training.batches.batch_size,
    }
    traced: Sequence[TracedWindow | TracedLane]
    if training.lanes:
        traced = trace_lanes(corpus, training.split, **batches)
    else:
        batches |= {"stride": training.batches.stride, "seed": training.batches.seed}
        traced = trace(corpus, training.split, **batches)
    _show_rows(arguments, traced, row_text)


def _show_rows(
    arguments: argparse.Namespace, rows: Sequence[Any], text_of: Callable[[Any], str]
) -> None:
    if arguments.json:
        show_json({"step": arguments.step, "rows": rows})
        return
    for row in rows:
        show(text_of(row))


def _given(arguments: argparse.Namespace, training: Training | None) -> Training:
    """What the flags say, over what a run says, over the defaults."""
    if training is None:
        training = Training(
            corpus=arguments.directory,
            split="train",
            batches=Batches(seq_len=DEFAULT_SEQ_LEN, batch_size=DEFAULT_BATCH_SIZE),
            lanes=False,
        )
    names = ("seq_len", "stride", "batch_size", "seed")
    given = {name: getattr(arguments, name) for name in names}
    changes = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(
        training,
        split=training.split if arguments.split is None else arguments.split,
        batches=dataclasses.replace(training.batches, **changes),
        lanes=training.lanes or arguments.lanes,
    )


def record_text(traced: TracedRecord) -> str:
    """Returns a traced record for people: where it stands."""
    return (
        f"row {traced.row} (epoch {traced.epoch}, record {traced.record:,}): {traced.file} record "
        f"{traced.number:,} at byte {traced.offset}"
    )


def row_text(traced: TracedWindow | TracedLane) -> str:
    """Returns a traced row for people: where it is from, then its text."""
    places = "; ".join(map(passage_text, traced.passages))
    if isinstance(traced, TracedLane):
        where = f"round {traced.round}, token {traced.first_token} of the split"
    else:
        where = (
            f"epoch {traced.epoch}, window {traced.window}, {traced.shard} token "
            f"{traced.first_token}"
        )
    return f"row {traced.row} ({where})\n  {places}\n  {traced.text!r}"
