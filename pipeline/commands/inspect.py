"""`textreel inspect`: what a corpus is, or an index, on one screen."""

import argparse
from typing import Any

import numpy as np

from pipeline.auditing.record_quality import measure_records
from pipeline.auditing.shuffle_quality import Comparison, measure
from pipeline.commands.flags import refuse_corpus_flags
from pipeline.layout.record_index import RecordIndex, is_index
from pipeline.layout.records import read_records
from pipeline.parsing import integer
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN
from pipeline.reading.corpus import Corpus, open_corpus
from pipeline.reading.tfrecords.records import open_records
from pipeline.sizes import size_text
from pipeline.terminal import show

_SHOWN_FILES = 10


def add_command(subparsers: Any) -> None:
    """Adds `inspect` to what `ArgumentParser.add_subparsers` returned."""
    text = "what a corpus is, or an index of TFRecord files, on one screen"
    parser = subparsers.add_parser("inspect", help=text, description=text)
    parser.add_argument(
        "directory", metavar="CORPUS|INDEX", help="directory of the corpus, or of the index"
    )
    parser.add_argument(
        "--shuffle",
        action="store_true",
        help="also measure the training order of a split or of the records, beside other shuffles",
    )
    parser.add_argument(
        "--batch_size",
        type=integer,
        default=DEFAULT_BATCH_SIZE,
        metavar="N",
        help="of --shuffle (default: %(default)s)",
    )
    of_corpus = "of --shuffle of a corpus (default: {})"
    parser.add_argument("--split", help=of_corpus.format("train"))
    for option, default in {"seq_len": DEFAULT_SEQ_LEN, "stride": "the --seq_len"}.items():
        parser.add_argument(
            f"--{option}", type=integer, metavar="N", help=of_corpus.format(default)
        )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    if is_index(arguments.directory):
        refuse_corpus_flags(arguments, "split", "seq_len", "stride")
        records = open_records(arguments.directory)
        show(index_text(records.index))
        if arguments.shuffle:
            comparison = measure_records(records, batch_size=arguments.batch_size)
            show(shuffle_text(comparison, of="records"))
        return
    corpus = open_corpus(arguments.directory)
    show(corpus_text(corpus))
    if arguments.shuffle:
        comparison = measure(
            corpus,
            "train" if arguments.split is None else arguments.split,
            seq_len=DEFAULT_SEQ_LEN if arguments.seq_len is None else arguments.seq_len,
            stride=arguments.stride,
            batch_size=arguments.batch_size,
        )
        show(shuffle_text(comparison))


def index_text(index: RecordIndex) -> str:
    """Returns what an index holds, for people; some, the largest, of its files."""
    checked = "lengths and contents" if index.checked else "lengths"
    mean = index.num_bytes / len(index)
    lines = [
        f"{index.directory}: an index of TFRecord files, digest {(index.digest or '')[:12]}",
        f"records:     {len(index):,}, {size_text(index.num_bytes)}, {mean:,.0f} bytes in the mean",
        f"checked:     {checked}",
        f"{'records':>13} {'on disk':>9} file, of {len(index.files):,}",
    ]
    largest = sorted(range(len(index.files)), key=lambda number: -index.files[number].num_bytes)
    for number in sorted(largest[:_SHOWN_FILES]):
        file = index.files[number]
        lines.append(f"{file.num_records:>13,} {size_text(file.num_bytes):>9} {file.path}")
    if len(index.files) > _SHOWN_FILES:
        lines.append(f"{len(index.files) - _SHOWN_FILES:>13,} smaller ones")
    return "\n".join(lines)


def shuffle_text(comparison: Comparison, *, of: str = "windows") -> str:
    """Returns how a shuffle compares, for people; `of` what, in the plural."""
    columns = {
        "this order": comparison.ours,
        "its end": comparison.our_end,
        "a perfect shuffle": comparison.perfect,
        f"a buffer of {comparison.buffer_windows:,}": comparison.buffer,
    }
    rows = {
        "variance of a source's share (perfect: 1)": "{0.variance:.2f}",
        "autocorrelation of it, lags 1 to 64": "{0.autocorrelation:.3f}",
        "neighbours in one batch (perfect)": "{0.same_batch:,} ({0.expected_same_batch:,.0f})",
        f"neighbours land apart (median {of})": "{0.median_distance:,.0f}",
        "sources in a batch (mean)": "{0.sources:.1f}",
    }
    lines = [
        f"shuffle of {comparison.num_windows:,} {of}, by {comparison.num_positions:,} positions:",
        f"{'':<42}" + "".join(f"{name:>20}" for name in columns),
    ]
    for name, form in rows.items():
        cells = "".join(f"{form.format(quality):>20}" for quality in columns.values())
        lines.append(f"{name:<42}{cells}")
    lines.append(
        f"autocorrelation that groups of this size cannot avoid: {comparison.unavoidable:.3f}"
    )
    hosts = ", ".join(f"{count}: {share:.2f}" for count, share in comparison.host_bytes.items())
    lines.append(f"one of so many hosts reads of all bytes: {hosts}")
    return "\n".join(lines)


def corpus_text(corpus: Corpus) -> str:
    """Returns what a corpus is, for people."""
    manifest = corpus.manifest
    options = ", ".join(f"{name} {value}" for name, value in manifest.options.items())
    source_bytes = sum(source.source_bytes for source in manifest.sources)
    lines = [
        f"{corpus.directory}: {manifest.name}, fingerprint {corpus.fingerprint[:12]}",
        f"options:     {options}",
        f"vocabulary:  {corpus.vocabulary.kind}, {corpus.vocabulary.size:,} ids, stored as "
        f"{manifest.dtype}, separator {manifest.separator_id}, "
        f"fingerprint {corpus.vocabulary.fingerprint[:12]}",
        f"sources:     {len(manifest.sources):,}, {size_text(source_bytes)} of text; the first is "
        f"{manifest.sources[0].name}",
        f"{'split':<12} {'tokens':>17} {'documents':>11} {'shards':>7} {'on disk':>9} text/token",
    ]
    for name, split in corpus.splits.items():
        ratio = split.text_bytes / split.num_tokens if split.num_tokens else 0
        lines.append(
            f"{name:<12} {split.num_tokens:>17,} {split.num_documents:>11,} "
            f"{len(split.shards):>7,} {size_text(split.disk_bytes):>9} {ratio:.4f} bytes"
        )
    for name, split in corpus.splits.items():
        first = next(read_records(f"{corpus.directory}/{split.shards[0].file}"), b"")
        tokens = np.frombuffer(first, corpus.vocabulary.dtype)[:200]
        beginning = corpus.vocabulary.decode(tokens)[:70]
        lines.append(f"{name} begins {beginning!r}")
    return "\n".join(lines)
