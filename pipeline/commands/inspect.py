"""`textreel inspect`: what a corpus is, on one screen."""

import argparse
from typing import Any

import numpy as np

from pipeline.auditing.shuffle_quality import Comparison, measure
from pipeline.layout.records import read_records
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN
from pipeline.reading.corpus import Corpus, open_corpus
from pipeline.sizes import size_text
from pipeline.terminal import show


def add_command(subparsers: Any) -> None:
    """Adds `inspect` to what `ArgumentParser.add_subparsers` returned."""
    text = "what a corpus is, on one screen"
    parser = subparsers.add_parser("inspect", help=text, description=text)
    parser.add_argument("corpus", metavar="CORPUS", help="directory of the corpus")
    parser.add_argument(
        "--shuffle",
        action="store_true",
        help="also measure the training order of a split, beside other shuffles",
    )
    parser.add_argument("--split", default="train", help="of --shuffle (default: %(default)s)")
    defaults = {"seq_len": DEFAULT_SEQ_LEN, "batch_size": DEFAULT_BATCH_SIZE}
    for option, default in defaults.items():
        parser.add_argument(
            f"--{option}",
            type=int,
            default=default,
            metavar="N",
            help="of --shuffle (default: %(default)s)",
        )
    parser.add_argument(
        "--stride", type=int, metavar="N", help="of --shuffle (default: the --seq_len)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    corpus = open_corpus(arguments.corpus)
    show(corpus_text(corpus))
    if arguments.shuffle:
        comparison = measure(
            corpus,
            arguments.split,
            seq_len=arguments.seq_len,
            stride=arguments.stride,
            batch_size=arguments.batch_size,
        )
        show(shuffle_text(comparison))


def shuffle_text(comparison: Comparison) -> str:
    """Returns how a shuffle compares, for people."""
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
        "neighbours land apart (median windows)": "{0.median_distance:,.0f}",
        "sources in a batch (mean)": "{0.sources:.1f}",
    }
    lines = [
        f"shuffle of {comparison.num_windows:,} windows, "
        f"by {comparison.num_positions:,} positions:",
        f"{'':<42}" + "".join(f"{name:>20}" for name in columns),
    ]
    for name, form in rows.items():
        cells = "".join(f"{form.format(quality):>20}" for quality in columns.values())
        lines.append(f"{name:<42}{cells}")
    lines.append(
        f"autocorrelation that groups of this size cannot avoid: {comparison.unavoidable:.3f}"
    )
    hosts = ", ".join(f"{count}: {share:.2f}" for count, share in comparison.host_bytes.items())
    lines.append(f"one of so many hosts reads of the split's bytes: {hosts}")
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
