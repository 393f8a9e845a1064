"""`textreel trace`: which text was in the batch of a step?"""

import argparse
from collections.abc import Sequence
from typing import Any

from pipeline.auditing.trace import TracedLane, TracedWindow, describe, trace, trace_lanes
from pipeline.errors import OptionError, UserError
from pipeline.files import join
from pipeline.preparing.journal import read_json
from pipeline.reading.corpus import open_corpus

# A run's own settings, as they are called in RUN/config.json, and their defaults without a run.
_SETTINGS = {"seq_len": 64, "stride": None, "batch_size": 64, "seed": 0, "train_split": "train"}


def add_command(subparsers: Any) -> None:
    """Adds `trace` to what `ArgumentParser.add_subparsers` returned."""
    text = "the text of a batch that was or will be trained on, and where in the sources it stands"
    parser = subparsers.add_parser("trace", help=text, description=text)
    parser.add_argument("corpus", nargs="?", metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "--run", dest="run_directory", metavar="RUN", help="a run, which knows all but the step"
    )
    parser.add_argument("--step", type=int, required=True, metavar="K", help="the batch, from 0")
    parser.add_argument("--row", type=int, metavar="R", help="only this row of the batch")
    parser.add_argument("--split", dest="train_split", help="name of the split (default: train)")
    parser.add_argument("--seq_len", type=int, help="tokens of an input (default: 64)")
    parser.add_argument("--stride", type=int, help="tokens between windows (default: seq_len)")
    parser.add_argument("--batch_size", type=int, help="rows of the global batch (default: 64)")
    parser.add_argument("--lanes", action="store_true", help="lanes were read, not windows")
    parser.add_argument("--seed", type=int, help="of the shuffle (default: 0)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    settings: dict[str, Any] = {**_SETTINGS, "corpus": None}
    if arguments.run_directory is not None:
        path = join(arguments.run_directory, "config.json")
        try:
            config = read_json(path)
            settings = {name: config[name] for name in settings}
            arguments.lanes |= config["lanes"]
        except (KeyError, TypeError):
            raise UserError(f"{path}: no configuration; give the --output of a run") from None
    given = {name: getattr(arguments, name) for name in settings}
    settings |= {name: value for name, value in given.items() if value is not None}
    if settings["corpus"] is None:
        raise OptionError("give the directory of a corpus, or `--run RUN`")
    traced: Sequence[TracedWindow | TracedLane]
    corpus, split = open_corpus(settings.pop("corpus")), settings.pop("train_split")
    settings |= {"step": arguments.step, "rows": None if arguments.row is None else [arguments.row]}
    if arguments.lanes:
        del settings["seed"], settings["stride"]
        traced = trace_lanes(corpus, split, **settings)
    else:
        traced = trace(corpus, split, **settings)
    for row in traced:
        print(describe(row))
