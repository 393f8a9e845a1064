"""The command `textreel`: everything from text to generated text, one sub-command each.

Sub-commands import TensorFlow when they run, so that `--help` and `prepare` do not.
"""

import argparse
import io
import sys

from absl.flags import argparse_flags

import pipeline.cli
from trainer import demo, task


def _generate(arguments: argparse.Namespace) -> None:
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


def _add_generate(parser: argparse.ArgumentParser) -> None:
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
    parser.set_defaults(run=_generate)


def _evaluate(arguments: argparse.Namespace) -> None:
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.assess import assess

    assessment = assess(
        arguments.run_directory, corpus=arguments.corpus, split=arguments.validation_split
    )
    print(f"{assessment.num_windows:,} windows: {assessment}")


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_directory", metavar="RUN", help="directory of the run: the --output of `train`"
    )
    parser.add_argument(
        "--corpus", metavar="DIR", help="a corpus with the run's vocabulary (default: the run's)"
    )
    parser.add_argument(
        "--split",
        dest="validation_split",
        metavar="NAME",
        help="split to measure (default: the run's --validation_split)",
    )
    parser.set_defaults(run=_evaluate)


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `textreel` with all its sub-commands."""
    parser = argparse_flags.ArgumentParser(
        prog="textreel",
        description="Any amount of text -> a trained language model.",
        allow_abbrev=False,  # absl's --run_with_pdb would make generate's --run ambiguous
    )
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
    )
    pipeline.cli.add_commands(subparsers)
    text = "train a model on a corpus, or resume a run"
    task.add_arguments(subparsers.add_parser("train", help=text, description=text))
    text = "measure a trained model on a split, every window once"
    _add_evaluate(subparsers.add_parser("evaluate", help=text, description=text))
    text = "generate text with a trained model"
    _add_generate(subparsers.add_parser("generate", help=text, description=text))
    demo.add_command(subparsers)
    return parser


def main() -> None:
    """The entry point of the command `textreel`."""
    pipeline.cli.main_with(build_parser)


if __name__ == "__main__":
    main()
