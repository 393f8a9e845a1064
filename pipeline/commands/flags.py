"""Flags that several commands have."""

import argparse

from pipeline.errors import OptionError
from pipeline.options import add_flags, path_flag
from pipeline.parsing import integer
from pipeline.preparing.options import PrepareOptions
from pipeline.progress import can_show_bars


def add_corpus_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the sources and the options of a corpus to be."""
    parser.add_argument(
        "sources",
        nargs="+",
        type=path_flag,
        metavar="SOURCE",
        help="a file of text (UTF-8; also .gz .bz2 .xz .lzma .zst), JSON Lines, a JSON array or "
        "Parquet; a directory, which is searched recursively; a pipe; tfds:NAME[/CONFIG]:SPLIT; "
        "gs://…; - for standard input",
    )
    parser.add_argument(
        "--glob", metavar="PATTERN", help="in directories, only files of matching names: '*.txt'"
    )
    parser.add_argument(
        "--hidden",
        action="store_true",
        help="in directories, also files and folders whose names begin with . or _",
    )
    add_flags(parser, PrepareOptions)


def add_output(
    parser: argparse.ArgumentParser, text: str, *, metavar: str = "DIR", default: str | None = None
) -> None:
    """Adds `--output`, which must be given where it has no default."""
    parser.add_argument(
        "-o",
        "--output",
        required=default is None,
        default=default,
        type=path_flag,
        metavar=metavar,
        help=text if default is None else f"{text} (default: %(default)s)",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Adds `--workers`."""
    parser.add_argument(
        "--workers",
        type=integer,
        metavar="N",
        help="processes; changes no byte (default: one a core)",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Adds `--quiet`."""
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing but results, warnings and errors"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object and nothing else; docs/json.md has its fields",
    )


def shows_progress(arguments: argparse.Namespace) -> bool:
    """Whether progress bars are wanted."""
    return can_show_bars() and not arguments.quiet


def refuse_corpus_flags(arguments: argparse.Namespace, *names: str) -> None:
    """Refuses flags that mean nothing for an index.

    Raises:
        OptionError: one is given.
    """
    for name in names:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            raise OptionError(
                f"`{name}` has no effect on records: {arguments.directory} is an index of TFRecord "
                "files, no corpus"
            )
