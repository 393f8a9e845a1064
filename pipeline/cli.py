"""The commands of the preprocessor: `textreel prepare` is also `python -m pipeline prepare`."""

import argparse
import functools
import resource
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import app
from absl.flags import argparse_flags

from pipeline.commands import inspect, plan, repair, trace, verify
from pipeline.commands.options import add_options, options_of
from pipeline.errors import OptionError, UserError
from pipeline.layout.manifest import Manifest
from pipeline.preparing.engines import Engine, beam
from pipeline.preparing.prepare import default_workers, prepare
from pipeline.sizes import size_text


def main_with(build_parser: Callable[[], argparse.ArgumentParser]) -> None:
    """Parses the command line and runs `arguments.run(arguments)`; exits.

    What a user did ends with a message and no traceback: exit code 2 for an option, 1 for a
    failure, 130 for an interruption.
    """

    def parse(argv: list[str]) -> argparse.Namespace:
        return parse_arguments(build_parser(), argv[1:])

    def main(arguments: argparse.Namespace) -> int:
        try:
            arguments.run(arguments)
        except (UserError, OSError) as error:
            print(f"textreel: error: {error}", file=sys.stderr)
            return 2 if isinstance(error, OptionError) else 1
        except KeyboardInterrupt:
            print("\ntextreel: interrupted; the same command goes on where it was", file=sys.stderr)
            return 130
        return 0

    app.run(main, flags_parser=parse)


def parse_arguments(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parses a command line; what stands behind `--` becomes `engine_options`, a list."""
    own, behind = argv, None
    if "--" in argv:
        own, behind = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    arguments = parser.parse_args(own)
    if behind is not None and getattr(arguments, "engine", "local") == "local":
        parser.error(
            "options behind `--` are those of the engine, and only `prepare --engine beam` takes"
            " any; write the name of a file that begins with - as ./-NAME"
        )
    arguments.engine_options = behind or []
    return arguments


def add_commands(subparsers: Any) -> None:
    """Adds the commands to what `ArgumentParser.add_subparsers` returned."""
    text = "turn files of text into a corpus of tokens"
    parser = subparsers.add_parser("prepare", help=text, description=text)
    add_options(parser)
    parser.add_argument("--output", required=True, metavar="DIR", help="directory of the corpus")
    parser.add_argument(
        "--engine",
        choices=["local", "beam"],
        default="local",
        help="local: processes of this machine; beam: an Apache Beam runner, whose own options"
        " follow a final `--`, as in `--engine beam -- --runner=DirectRunner`; changes no byte"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--array_record",
        action="store_true",
        help="also write array_record files, which tfds.data_source reads without TensorFlow",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the corpus that is in DIR"
    )
    parser.set_defaults(run=_prepare)
    for command in (plan, inspect, verify, repair, trace):
        command.add_command(subparsers)


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of `python -m pipeline`."""
    parser: argparse.ArgumentParser = argparse_flags.ArgumentParser(
        prog="python -m pipeline",
        description="Any amount of text -> a corpus of tokens.",
        allow_abbrev=False,  # absl's --run_with_pdb would make trace's --run ambiguous
    )
    add_commands(
        parser.add_subparsers(
            title="commands", metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
        )
    )
    return parser


def report(manifest: Manifest, *, seconds: float, workers: int | None) -> str:
    """Returns what was made, for people; the memory only where the workers are children."""
    num_bytes = sum(split.num_bytes for split in manifest.splits.values())
    on_disk = sum(s.num_bytes for split in manifest.splits.values() for s in split.shards)
    symbols = manifest.options["vocabulary"]
    rate = size_text(num_bytes / seconds)
    lines = [
        f"{len(manifest.sources):,} sources, {size_text(num_bytes)} of text"
        f" -> {size_text(on_disk)} of shards in {seconds:.1f} s ({rate}/s)",
        f"vocabulary: {symbols}, {manifest.vocabulary_size:,} ids, stored as {manifest.dtype}",
    ]
    for name, split in manifest.splits.items():
        lines.append(
            f"{name + ':':<12}{split.num_tokens:>15,} tokens {split.num_documents:>9,} documents"
            f" {len(split.shards):>6,} shards"
        )
    if workers is not None:
        lines.append(f"peak memory: {size_text(_peak_memory(workers))} over all processes")
    return "\n".join(lines)


def _prepare(arguments: argparse.Namespace) -> None:
    options = options_of(arguments)
    engine, workers = None, arguments.workers
    if arguments.engine == "beam":
        engine = _beam_engine(arguments)
    elif workers is None:
        workers = default_workers()
    started = time.monotonic()
    manifest = prepare(
        arguments.sources,
        arguments.output,
        options,
        glob=arguments.glob,
        workers=workers,
        engine=engine,
        array_record=arguments.array_record,
        overwrite=arguments.overwrite,
        progress=sys.stderr.isatty(),
    )
    print(report(manifest, seconds=time.monotonic() - started, workers=workers))
    corpus = shlex.quote(arguments.output)
    print(f"\nmade the corpus {arguments.output}; train a model on it:")
    print(f"  textreel train --corpus {corpus} --output RUN")


def _beam_engine(arguments: argparse.Namespace) -> Engine:
    """Beam with the user's options; tasks and results pass through a folder beside the output."""
    if arguments.workers is not None:
        raise OptionError(
            "`--workers` has no effect with `--engine beam`: give the runner's own option behind"
            " `--`, such as --direct_num_workers=4"
        )
    beam.check_options(arguments.engine_options)
    parents = Path(arguments.output).absolute().parents
    folder = next(path for path in parents if path.exists())
    return functools.partial(beam.run, options=arguments.engine_options, folder=folder)


def _peak_memory(workers: int) -> int:
    """At most this many bytes of memory were in use: every worker counts as the largest."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return (own + largest_worker * workers) * unit
