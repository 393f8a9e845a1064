"""`textreel generate`: text from a trained model, as it comes."""

import argparse
import io
import sys
from typing import Any

from pipeline.errors import UserError
from pipeline.files import read_text
from trainer.commands.checkpoint_flag import add_checkpoint
from trainer.generation.request import Request


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
    add_checkpoint(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt", default="", metavar="TEXT", help="text to continue (default: a new document)"
    )
    prompt.add_argument(
        "--prompt_file",
        metavar="FILE",
        help="file that holds the text to continue, its last newline included; -: standard input",
    )
    _add_number(parser, "tokens", "most tokens to generate")
    _add_number(
        parser,
        "temperature",
        "1: the model's own distribution; less: likelier text; 0: always the likeliest token",
    )
    _add_number(parser, "top_k", "draw from this many likeliest tokens alone; 0: from all")
    _add_number(
        parser,
        "top_p",
        "draw from the likeliest tokens alone that together have this probability; 1: from all",
    )
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end the text before this one; may be given several times",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=1,
        metavar="N",
        help="texts to generate; one is written as it comes, several when all are there "
        "(default: %(default)s)",
    )
    _add_number(parser, "seed", "the same seed gives the same text")
    parser.set_defaults(run=_run)


def _add_number(parser: argparse.ArgumentParser, option: str, text: str) -> None:
    default = getattr(Request, option)
    parser.add_argument(
        f"--{option}",
        type=type(default),
        default=default,
        metavar="N" if isinstance(default, int) else "X",
        help=f"{text} (default: %(default)s)",
    )


def _run(arguments: argparse.Namespace) -> None:
    request = Request(
        prompt=read_prompt(arguments),
        tokens=arguments.tokens,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        seed=arguments.seed,
        stop=tuple(arguments.stop),
    )
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from pipeline.preparing.vocabularies import load_vocabulary
    from trainer.generation.sampler import load_sampler, shown

    sampler = load_sampler(arguments.run_directory, checkpoint=arguments.checkpoint)
    vocabulary = load_vocabulary(arguments.run_directory)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character
    if arguments.samples == 1:
        pieces = sampler.stream(request)
        sys.stdout.write(request.prompt)
        for piece in pieces:
            sys.stdout.write(shown(piece, vocabulary))
            sys.stdout.flush()
        sys.stdout.write("\n")
        return
    for index, text in enumerate(sampler.texts(request, arguments.samples)):
        print(f"--- sample {index + 1} of {arguments.samples}")
        print(request.prompt + shown(text, vocabulary))


def read_prompt(arguments: argparse.Namespace) -> str:
    """Returns the prompt that the flags give.

    Raises:
        UserError: the file is not UTF-8.
        OSError: it cannot be read.
    """
    file = arguments.prompt_file
    if file is None:
        return str(arguments.prompt)
    try:
        return sys.stdin.buffer.read().decode() if file == "-" else read_text(file)
    except UnicodeDecodeError as error:
        raise UserError(
            f"`prompt_file` {file} must be UTF-8, but byte {error.start} is not: {error.reason}"
        ) from error
