"""`textreel evaluate`: how well a trained model predicts a split."""

import argparse
from typing import Any

from pipeline.terminal import show
from trainer.commands.flags import add_checkpoint, add_code, add_run, allows_code, read_named_run
from trainer.evaluation.split import open_split


def add_command(subparsers: Any) -> None:
    """Adds `evaluate` to what `ArgumentParser.add_subparsers` returned."""
    text = "measure a trained model on a split, every window once"
    parser = subparsers.add_parser("evaluate", help=text, description=text)
    add_run(parser)
    parser.add_argument(
        "--corpus", metavar="DIR", help="a corpus with the run's vocabulary (default: the run's)"
    )
    parser.add_argument(
        "--split",
        dest="validation_split",
        metavar="NAME",
        help="split to measure (default: the run's --validation_split)",
    )
    add_checkpoint(parser)
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="also read the split in order, every token predicted from what is before it: with the "
        "state carried on (recurrent models) or in windows that overlap by half",
    )
    add_code(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    config, vocabulary = read_named_run(arguments)
    corpus, split = arguments.corpus, arguments.validation_split
    open_split(arguments.run_directory, config, vocabulary, corpus=corpus, split=split)
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.evaluation.evaluate import evaluate

    evaluation = evaluate(
        arguments.run_directory,
        corpus=corpus,
        split=split,
        checkpoint=arguments.checkpoint,
        allow_code=allows_code(arguments),
        stateful=arguments.stateful,
    )
    show(f"{evaluation.num_windows:,} windows: {evaluation}")
    if evaluation.stateful is not None:
        show(f"{evaluation.stateful.num_tokens:,} tokens with those before: {evaluation.stateful}")
