"""`textreel prepare`: text -> a corpus."""

import argparse
import functools
import resource
import shlex
import sys
import time
from pathlib import Path

from pipeline.auditing.balance import amounts_of_manifest, one_sided_splits, one_sided_text
from pipeline.commands.flags import (
    add_corpus_flags,
    add_output,
    add_quiet,
    add_workers,
    shows_progress,
)
from pipeline.commands.found import found_text, skipped_lines
from pipeline.errors import OptionError
from pipeline.files import checked_path, is_in_store, join, split_path
from pipeline.layout.manifest import Manifest
from pipeline.options import from_flags, short_text
from pipeline.parsing import CommandParser
from pipeline.preparing import journal
from pipeline.preparing.engines import Engine, beam
from pipeline.preparing.engines.local import checked_workers
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.prepare import prepare
from pipeline.reading.batches import DEFAULT_SEQ_LEN
from pipeline.sizes import count_text, size_text
from pipeline.terminal import show


def add_arguments(parser: CommandParser) -> None:
    """Adds what `prepare` takes to its parser."""
    add_corpus_flags(parser)
    add_workers(parser)
    add_quiet(parser)
    add_output(parser, "directory of the corpus")
    parser.add_argument(
        "--engine",
        choices=["local", "beam"],
        default="local",
        help="local: processes of this machine; beam: an Apache Beam runner, whose own options "
        "follow a final `--`, as in `--engine beam -- --runner=DirectRunner`; changes no byte "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--array_record",
        action="store_true",
        help="also write array_record files, which as_data_source of TFDS reads without TensorFlow",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the corpus that is in DIR"
    )
    parser.set_defaults(run=_run, resumes=True)


def _run(arguments: argparse.Namespace) -> None:
    options = from_flags(PrepareOptions, arguments)
    engine, workers = None, arguments.workers
    if arguments.engine == "beam":
        engine = _beam_engine(arguments)
    else:
        workers = checked_workers(arguments.workers)
    tell = _nothing if arguments.quiet else show
    started, kept = time.monotonic(), list[bool]()
    manifest = prepare(
        arguments.sources,
        arguments.output,
        options,
        glob=arguments.glob,
        hidden=arguments.hidden,
        workers=workers,
        engine=engine,
        array_record=arguments.array_record,
        overwrite=arguments.overwrite,
        progress=shows_progress(arguments),
        on_found=lambda found: tell(found_text(found)),
        on_kept=lambda: kept.append(True),
    )
    if kept:
        tell(f"{arguments.output} is there already, of these sources and options; nothing to do")
        return
    tell(made_text(manifest, seconds=time.monotonic() - started, workers=workers))
    if options.from_bin is not None:  # the splits are as they were given
        if not any(split.num_documents for split in manifest.splits.values()):
            tell(
                f"no document ends: the separator, id {manifest.separator_id}, is not among the ids"
            )
    else:
        for found in one_sided_splits(amounts_of_manifest(manifest)):
            tell(one_sided_text(found))
    tell("\n" + next_text(manifest, arguments.output))


def _nothing(text: str) -> None:
    """Says nothing."""


def made_text(manifest: Manifest, *, seconds: float, workers: int | None) -> str:
    """Returns what was made, for people; the memory only where the workers are children."""
    text_bytes = sum(split.text_bytes for split in manifest.splits.values())
    disk_bytes = sum(split.disk_bytes for split in manifest.splits.values())
    symbols = short_text(manifest.options["vocabulary"])
    rate = size_text(text_bytes / seconds)
    lines = [
        f"{count_text(len(manifest.sources), 'source')}, {size_text(text_bytes)} of text "
        f"-> {size_text(disk_bytes)} of shards in {seconds:.1f} s ({rate}/s)",
        f"vocabulary: {symbols}, {manifest.vocabulary_size:,} ids, stored as {manifest.dtype}",
    ]
    for name, split in manifest.splits.items():
        lines.append(
            f"{name + ':':<12}{count_text(split.num_tokens, 'token', width=15)} "
            f"{count_text(split.num_documents, 'document', width=9)} "
            f"{count_text(len(split.shards), 'shard', width=6)}"
        )
    lines += skipped_lines(manifest)
    if workers is not None:
        lines.append(f"peak memory: {size_text(_peak_memory(workers))} over all processes")
    return "\n".join(line.rstrip() for line in lines)


def next_text(manifest: Manifest, output: str) -> str:
    """Returns what to do with a corpus, for people: a command that works on just this one."""
    made = f"made the corpus {output}"
    train = "train" if "train" in manifest.splits else _largest_split(manifest)
    seq_len = min(DEFAULT_SEQ_LEN, _longest_shard(manifest, train) - 1)
    if seq_len < 1:
        return f"{made}, which is too short to train on: prepare more text"
    corpus = f"./{output}" if output.startswith("-") else output
    command = ["textreel", "train", corpus, "-o", "RUN"]
    if train != "train":
        command += ["--train_split", train]
    if seq_len < DEFAULT_SEQ_LEN:
        command += ["--seq_len", str(seq_len)]
    others = [split for split in manifest.splits if split != train]
    if "validation" not in others:
        for split in others:
            if _longest_shard(manifest, split) > seq_len:
                command += ["--validation_split", split]
                break
    return f"{made}; train a model on it:\n  {shlex.join(command)}"


def _largest_split(manifest: Manifest) -> str:
    return max(manifest.splits, key=lambda split: manifest.splits[split].num_tokens)


def _longest_shard(manifest: Manifest, split: str) -> int:
    """The tokens of the longest shard of a split: a window lies in one."""
    return max(shard.num_tokens for shard in manifest.splits[split].shards)


def _beam_engine(arguments: argparse.Namespace) -> Engine:
    """Beam with the user's options; tasks and results pass through a folder beside the output."""
    if arguments.workers is not None:
        raise OptionError(
            "`--workers` has no effect with `--engine beam`: give the runner's own option after "
            "`--`, such as --direct_num_workers=4"
        )
    beam.check_options(arguments.engine_options)
    folder = checked_path(arguments.output, "output")
    if not is_in_store(folder):
        parents = Path(folder).absolute().parents
        folder = str(next(path for path in parents if path.exists()))
    elif is_in_store(split_path(folder.rstrip("/"))[0]):
        folder = split_path(folder.rstrip("/"))[0]
    else:  # the output is a bucket
        folder = join(folder, journal.FOLDER)
    return functools.partial(beam.run, options=arguments.engine_options, folder=folder)


def _peak_memory(workers: int) -> int:
    """At most this many bytes of memory were in use: every worker counts as the largest."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return (own + largest_worker * workers) * unit
