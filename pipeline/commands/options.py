"""The options of `prepare` and `plan`: what the bytes of a corpus depend on."""

import argparse

from pipeline.preparing.plan import PrepareOptions


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the sources and the options of a corpus to a parser."""
    defaults = PrepareOptions()
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a file of text (UTF-8; also .gz .bz2 .xz .zst), JSON Lines (.jsonl) or Parquet; a"
        " directory, which is searched recursively; tfds:NAME[/CONFIG]:SPLIT; gs://…; - for"
        " standard input",
    )
    parser.add_argument(
        "--vocabulary",
        default=defaults.vocabulary,
        metavar="byte|char|bpe:SIZE|FILE",
        help="what a token is: a byte (takes any input), a character, or a subword: a byte-level"
        " BPE of SIZE ids, trained on the text; or the vocabulary of a corpus, or a"
        " tokenizer.json (default: %(default)s)",
    )
    parser.add_argument(
        "--min_count",
        type=int,
        default=defaults.min_count,
        metavar="N",
        help="with char: rarer characters become U+FFFD (default: %(default)s)",
    )
    parser.add_argument(
        "--unknown",
        choices=["error", "replace"],
        default=defaults.unknown,
        help="characters that a given vocabulary lacks: an error, or U+FFFD (default: %(default)s)",
    )
    parser.add_argument(
        "--glob", metavar="PATTERN", help="in directories, only files of matching names: '*.txt'"
    )
    parser.add_argument(
        "--document",
        default=defaults.document,
        metavar="file|line|blank_line|SEPARATOR",
        help="what a document is in plain text: a file, a line, the lines between blank ones, or"
        " the text between SEPARATORs, such as '<|endoftext|>' (default: %(default)s)",
    )
    parser.add_argument(
        "--text_field",
        metavar="NAME",
        help="of JSON Lines, Parquet and tfds: the field that holds the text; a row is a document",
    )
    parser.add_argument(
        "--splits",
        type=_splits,
        default=defaults.splits,
        metavar="NAME=FRACTION,…",
        help="the parts of the corpus (default: train=0.98,validation=0.02)",
    )
    parser.add_argument(
        "--name",
        default=defaults.name,
        help="name of the TensorFlow Datasets dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--shard_bytes",
        type=int,
        default=defaults.shard_bytes,
        metavar="N",
        help="bytes of source text in a shard, about (default: a sixteenth, 4 to 64 MiB)",
    )
    parser.add_argument(
        "--record_tokens",
        type=int,
        default=defaults.record_tokens,
        metavar="N",
        help="tokens in a record (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; changes no byte (default: one a core)"
    )


def options_of(arguments: argparse.Namespace) -> PrepareOptions:
    """Returns the options that were given.

    Raises:
        OptionError: one has a value that cannot work.
    """
    return PrepareOptions(
        vocabulary=arguments.vocabulary,
        name=arguments.name,
        splits=arguments.splits,
        shard_bytes=arguments.shard_bytes,
        record_tokens=arguments.record_tokens,
        document=arguments.document,
        text_field=arguments.text_field,
        min_count=arguments.min_count,
        unknown=arguments.unknown,
    )


def _splits(text: str) -> dict[str, float]:
    splits: dict[str, float] = {}
    for part in text.split(","):
        name, equals, fraction = part.partition("=")
        try:
            if not equals or name in splits:
                raise ValueError
            splits[name] = float(fraction)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not of the form train=0.98,validation=0.02, each name once"
            ) from None
    return splits
