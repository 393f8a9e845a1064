"""`textreel inspect`: what a corpus is, or an index, on one screen."""

import argparse
from typing import Any

import numpy as np

from pipeline.auditing.record_quality import measure_records
from pipeline.auditing.shuffle_quality import Comparison, measure
from pipeline.commands.flags import add_json, refuse_corpus_flags
from pipeline.commands.found import skipped_lines
from pipeline.layout.manifest import Split
from pipeline.layout.record_index import RecordIndex, is_index
from pipeline.layout.records import read_records
from pipeline.options import options_text, path_flag
from pipeline.parsing import CommandParser, integer
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus
from pipeline.reading.tfrecords.records import open_records
from pipeline.sizes import size_text
from pipeline.terminal import show, show_json

_SHOWN_FILES = 10


def add_arguments(parser: CommandParser) -> None:
    """Adds what `inspect` takes to its parser."""
    parser.add_argument(
        "directory",
        type=path_flag,
        metavar="CORPUS|INDEX",
        help="directory of the corpus, or of the index",
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
    add_json(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    comparison, of = None, "windows"
    if is_index(arguments.directory):
        refuse_corpus_flags(arguments, "split", "seq_len", "stride")
        records, of = open_records(arguments.directory), "records"
        text, values = index_text(records.index), _index_values(records.index)
        if arguments.shuffle:
            comparison = measure_records(records, batch_size=arguments.batch_size)
    else:
        corpus = open_corpus(arguments.directory)
        text, values = corpus_text(corpus), _corpus_values(corpus)
        if arguments.shuffle:
            comparison = measure(
                corpus,
                "train" if arguments.split is None else arguments.split,
                seq_len=DEFAULT_SEQ_LEN if arguments.seq_len is None else arguments.seq_len,
                stride=arguments.stride,
                batch_size=arguments.batch_size,
            )
    if arguments.json:
        show_json({**values, "shuffle": comparison})
        return
    show(text)
    if comparison is not None:
        show(shuffle_text(comparison, of=of))


def _index_values(index: RecordIndex) -> dict[str, Any]:
    """What `--json` prints of an index."""
    return {
        "kind": "index",
        "directory": str(index.directory),
        "digest": index.digest,
        "checked": index.checked,
        "num_records": len(index),
        "num_bytes": index.num_bytes,
        "files": [
            {"path": file.path, "num_records": file.num_records, "num_bytes": file.num_bytes}
            for file in index.files
        ],
    }


def _corpus_values(corpus: Corpus) -> dict[str, Any]:
    """What `--json` prints of a corpus."""
    manifest, vocabulary = corpus.manifest, corpus.vocabulary
    return {
        "kind": "corpus",
        "directory": corpus.directory,
        "name": manifest.name,
        "fingerprint": corpus.fingerprint,
        "options": manifest.options,
        "vocabulary": {
            "kind": vocabulary.kind,
            "size": vocabulary.size,
            "dtype": manifest.dtype,
            "separator_id": manifest.separator_id,
            "fingerprint": vocabulary.fingerprint,
        },
        "num_sources": len(manifest.sources),
        "source_bytes": manifest.source_bytes,
        "splits": {
            name: {
                "num_tokens": split.num_tokens,
                "num_documents": split.num_documents,
                "num_shards": len(split.shards),
                "text_bytes": split.text_bytes,
                "disk_bytes": split.disk_bytes,
                "begins": _beginning(corpus, split),
            }
            for name, split in corpus.splits.items()
        },
    }


def _beginning(corpus: Corpus, split: Split) -> str:
    """The first characters of a split."""
    first = next(read_records(f"{corpus.directory}/{split.shards[0].file}"), b"")
    return corpus.vocabulary.decode(np.frombuffer(first, corpus.vocabulary.dtype)[:200])[:70]


def index_text(index: RecordIndex) -> str:
    """Returns what an index holds, for people; some, the largest, of its files."""
    checked = "lengths and contents" if index.checked else "lengths"
    mean = index.num_bytes / len(index)
    lines = [
        f"{index.directory}: an index of TFRecord files, digest {(index.digest or '')[:12]}",
        f"records:     {len(index):,}, {size_text(index.num_bytes)}, {size_text(mean)} on average",
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
    lines = [
        f"{corpus.directory}: {manifest.name}, fingerprint {corpus.fingerprint[:12]}",
        f"options:     {options_text(manifest.options)}",
        f"vocabulary:  {corpus.vocabulary.kind}, {corpus.vocabulary.size:,} ids, stored as "
        f"{manifest.dtype}, separator {manifest.separator_id}, "
        f"fingerprint {corpus.vocabulary.fingerprint[:12]}",
        f"sources:     {len(manifest.sources):,}, {size_text(manifest.source_bytes)}; the first is "
        f"{manifest.sources[0].name}",
        f"{'split':<12} {'tokens':>17} {'documents':>11} {'shards':>7} {'on disk':>9} text/token",
    ]
    for name, split in corpus.splits.items():
        ratio = split.text_bytes / split.num_tokens if split.num_tokens else 0
        lines.append(
            f"{name:<12} {split.num_tokens:>17,} {split.num_documents:>11,} "
            f"{len(split.shards):>7,} {size_text(split.disk_bytes):>9} {ratio:.4f} bytes"
        )
    lines += skipped_lines(manifest)
    for name, split in corpus.splits.items():
        if split.num_tokens:
            lines.append(f"{name} begins {_beginning(corpus, split)!r}")
    return "\n".join(lines)
