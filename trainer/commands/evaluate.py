"""`textreel evaluate`: how well a trained model predicts a split."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from pipeline.commands.flags import add_json, add_quiet
from pipeline.options import path_flag
from pipeline.parsing import CommandParser
from pipeline.sizes import count_text
from pipeline.terminal import show, show_json
from trainer.commands.flags import add_checkpoint, add_code, add_run, allows_code, read_named_run
from trainer.evaluation.dynamic import DEFAULT_RATE, checked_rate
from trainer.evaluation.split import open_split

if TYPE_CHECKING:
    from trainer.evaluation.evaluate import RunEvaluation, SplitEvaluation


def add_arguments(parser: CommandParser) -> None:
    """Adds what `evaluate` takes to its parser."""
    add_run(parser)
    parser.add_argument(
        "--corpus",
        type=path_flag,
        metavar="DIR",
        help="a corpus with the run's vocabulary (default: the run's)",
    )
    parser.add_argument(
        "--split",
        dest="validation_split",
        metavar="NAME",
        help="split to measure (default: the run's --validation_split)",
    )
    parser.add_argument(
        "--cache_dir",
        type=path_flag,
        metavar="DIR",
        help="keeps the shards of a corpus in a store: see `textreel train`",
    )
    add_checkpoint(parser)
    parser.add_argument(
        "--stateful",
        action="store_true",
        help="also read the split in order, every token predicted from what is before it: with the "
        "state carried on (recurrent models) or in windows that overlap by half",
    )
    parser.add_argument(
        "--dynamic",
        action="store_true",
        help="also read the split so while the model learns from what it has read (dynamic "
        "evaluation, Krause et al. 2018, by plain SGD); the run's files stay as they are",
    )
    parser.add_argument(
        "--dynamic_learning_rate",
        type=float,
        metavar="RATE",
        help=f"step size of --dynamic, in which 0 learns nothing (default: {DEFAULT_RATE})",
    )
    add_code(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    checked_rate(arguments.dynamic, arguments.dynamic_learning_rate)
    config, vocabulary = read_named_run(arguments)
    corpus, split = arguments.corpus, arguments.validation_split
    open_split(arguments.run_directory, config, vocabulary, corpus=corpus, split=split)
    from trainer.quiet import import_tensorflow

    import_tensorflow(shown=not arguments.quiet)
    from trainer.evaluation.evaluate import evaluate
    from trainer.run.checkpoint import default_checkpoint

    checkpoint = arguments.checkpoint or default_checkpoint(arguments.run_directory)
    evaluation = evaluate(
        arguments.run_directory,
        corpus=corpus,
        split=split,
        checkpoint=checkpoint,
        allow_code=allows_code(arguments),
        stateful=arguments.stateful,
        dynamic=arguments.dynamic,
        dynamic_learning_rate=arguments.dynamic_learning_rate,
        cache_dir=arguments.cache_dir,
    )
    if arguments.json:
        values = _values(arguments, split or config.evaluated_split, checkpoint, evaluation)
        show_json(values)
        return
    if evaluation.num_windows is not None:
        read = count_text(evaluation.num_windows, "window")
    else:
        read = f"{count_text(evaluation.num_lanes or 0, 'lane')} side by side"
    show(f"{read}: {evaluation}")
    for how, measured in (("", evaluation.stateful), (", learning", evaluation.dynamic)):
        if measured is not None:
            num_tokens = count_text(measured.num_tokens, "token")
            show(f"{num_tokens} with those before{how}: {measured}")


def _values(
    arguments: argparse.Namespace, split: str, checkpoint: str, evaluation: "RunEvaluation"
) -> dict[str, Any]:
    """What `--json` prints."""
    in_order = {"stateful": evaluation.stateful, "dynamic": evaluation.dynamic}
    return {
        "run": arguments.run_directory,
        "split": split,
        "checkpoint": checkpoint,
        "num_windows": evaluation.num_windows,
        "num_lanes": evaluation.num_lanes,
        **_figures(evaluation),
        **{
            name: measured and {"num_tokens": measured.num_tokens, **_figures(measured)}
            for name, measured in in_order.items()
        },
    }


def _figures(measured: "SplitEvaluation") -> dict[str, float]:
    figures = dataclasses.asdict(measured.evaluation)
    return {**figures, "bits_per_character": measured.bits_per_character}
