"""`textreel generate`: text from a trained model, as it comes."""

import argparse
import dataclasses
import io
import sys

from pipeline.commands.flags import add_json, add_quiet
from pipeline.errors import UserError
from pipeline.files import read_text
from pipeline.options import add_flags, from_flags, path_flag
from pipeline.parsing import CommandParser, integer
from pipeline.terminal import show, show_json
from trainer.commands.flags import add_checkpoint, add_code, add_run, allows_code, read_named_run
from trainer.generation.request import Request


def add_arguments(parser: CommandParser) -> None:
    """Adds what `generate` takes to its parser."""
    parser.description = (
        f"{parser.description}; a terminal shows control characters as escapes, a file or a pipe "
        "gets them as they are"
    )
    add_run(parser)
    add_checkpoint(parser)
    add_code(parser)
    prompt = parser.add_mutually_exclusive_group()
    options = [field.name for field in dataclasses.fields(Request)]
    add_flags(prompt, Request, leave_out=tuple(name for name in options if name != "prompt"))
    prompt.add_argument(
        "--prompt_file",
        type=path_flag,
        metavar="FILE",
        help="file that holds the text to continue, its last newline included; -: standard input",
    )
    add_flags(parser, Request, leave_out=("prompt", "stop"))
    (stop,) = [field for field in dataclasses.fields(Request) if field.name == "stop"]
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar=stop.metadata["metavar"],
        help=stop.metadata["help"],
    )
    parser.add_argument(
        "--samples",
        type=integer,
        default=1,
        metavar="N",
        help="texts to generate; one is written as it comes, several when all are there "
        "(default: %(default)s)",
    )
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    request = request_of(arguments)
    _, vocabulary = read_named_run(arguments)
    from trainer.quiet import import_tensorflow

    import_tensorflow(shown=not arguments.quiet)
    from trainer.generation.sampler import load_sampler, screen_text
    from trainer.run.checkpoint import default_checkpoint

    checkpoint = arguments.checkpoint or default_checkpoint(arguments.run_directory)
    sampler = load_sampler(
        arguments.run_directory,
        checkpoint=checkpoint,
        allow_code=allows_code(arguments),
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character
    if arguments.json:
        texts = sampler.texts(request, arguments.samples)
        show_json(
            {
                "run": arguments.run_directory,
                "checkpoint": checkpoint,
                **dataclasses.asdict(request),
                "texts": texts,
            }
        )
        return
    if arguments.samples == 1:
        pieces = sampler.stream(request)
        write(request.prompt)
        for piece in pieces:
            write(screen_text(piece, vocabulary))
        write("\n")
        return
    for index, text in enumerate(sampler.texts(request, arguments.samples)):
        write(f"--- sample {index + 1} of {arguments.samples}\n")
        write(f"{request.prompt}{screen_text(text, vocabulary)}\n")


def write(text: str) -> None:
    """Writes generated text: as it is, but for a terminal, which it could take over.

    There, control characters become escapes.
    """
    if sys.stdout.isatty():
        show(text, end="")
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def request_of(arguments: argparse.Namespace) -> Request:
    """Returns what the flags ask for; reads the file of the prompt.

    Raises:
        OptionError: an option breaks its rule.
        UserError: the file is not UTF-8.
        OSError: it cannot be read.
    """
    prompt, stop = _read_prompt(arguments), tuple(arguments.stop)
    return from_flags(Request, arguments, prompt=prompt, stop=stop)


def _read_prompt(arguments: argparse.Namespace) -> str:
    file = arguments.prompt_file
    if file is None:
        return str(getattr(arguments, "prompt", ""))
    try:
        return sys.stdin.buffer.read().decode() if file == "-" else read_text(file)
    except UnicodeDecodeError as error:
        raise UserError(
            f"`prompt_file` {file} must be UTF-8, but byte {error.start} is not: {error.reason}"
        ) from error
