"""`textreel generate`: text from a trained model, as it comes."""

import argparse
import io
import sys
from typing import Any


def add_command(subparsers: Any) -> None:
    """Adds `generate` to what `ArgumentParser.add_subparsers` returned."""
    text = "generate text with a trained model"
    parser = subparsers.add_parser("generate", help=text, description=text)
    # `run` is the name of the function that a sub-command runs, hence the other `dest`.
    parser.add_argument(
        "--run",
        dest="run_directory",
        required=True,
        metavar="DIR",
        help="directory of the run: the --output of `textreel train`",
    )
    parser.add_argument(
        "--prompt", default="", metavar="TEXT", help="text to continue (default: a new document)"
    )
    parser.add_argument(
        "--tokens", type=int, default=500, metavar="N", help="tokens to generate (default: 500)"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        default=0.7,
        metavar="T",
        help="1: the model's own distribution; less: likelier text; 0: always the likeliest "
        "token (default: 0.7)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="the same seed gives the same text (default: 0)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from pipeline.vocabularies import load_vocabulary
    from trainer.generate import generate, shown

    pieces = generate(
        arguments.run_directory,
        prompt=arguments.prompt,
        tokens=arguments.tokens,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )
    vocabulary = load_vocabulary(arguments.run_directory)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character
    sys.stdout.write(arguments.prompt)
    for piece in pieces:
        sys.stdout.write(shown(piece, vocabulary))
        sys.stdout.flush()
    sys.stdout.write("\n")
