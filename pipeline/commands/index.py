"""`textreel index`: where the records of TFRecord files begin."""

import argparse
import time

from pipeline.commands.flags import add_output, add_quiet, add_workers, shows_progress
from pipeline.indexing.build import index_records
from pipeline.layout.record_index import RecordIndex
from pipeline.options import path_flag
from pipeline.parsing import CommandParser
from pipeline.sizes import count_text, size_text
from pipeline.terminal import show


def add_arguments(parser: CommandParser) -> None:
    """Adds what `index` takes to its parser."""
    parser.add_argument(
        "files",
        nargs="+",
        type=path_flag,
        metavar="FILES",
        help="a TFRecord file, or a pattern in quotes: 'DIR/train-*.tfrecord*'; also gs://…",
    )
    add_output(parser, "directory of the index", metavar="INDEX")
    parser.add_argument(
        "--check",
        action="store_true",
        help="also compare the checksum of every record's content, for which all is read",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the index that is in INDEX; files that have not changed are not read again",
    )
    add_workers(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run, resumes=True)


def _run(arguments: argparse.Namespace) -> None:
    started = time.monotonic()
    index = index_records(
        arguments.files,
        arguments.output,
        check=arguments.check,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        progress=shows_progress(arguments),
    )
    if not arguments.quiet:
        show(indexed_text(index, seconds=time.monotonic() - started))


def indexed_text(index: RecordIndex, *, seconds: float) -> str:
    """Returns what was indexed, for people."""
    return (
        f"made the index {index.directory}: {count_text(len(index.files), 'file')}, "
        f"{count_text(len(index), 'record')}, {size_text(index.num_bytes)} in {seconds:.1f} s "
        f"({size_text(index.num_bytes / seconds)}/s)"
    )
