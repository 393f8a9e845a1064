"""Report of a corpus and its runs: one HTML file without scripts, which fetches nothing."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.auditing.balance import amounts_of_manifest, one_sided_splits, one_sided_text
from pipeline.auditing.verify import Findings, verify
from pipeline.commands.found import skipped_lines
from pipeline.options import options_text
from pipeline.reading.batches import DEFAULT_BATCH_SIZE, DEFAULT_SEQ_LEN
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus
from pipeline.sizes import count_text, size_text, time_text
from pipeline.vocabulary.base import Vocabulary
from trainer.pages.content import Content, measure_content, sample_windows
from trainer.pages.corpus_plots import corpus_plots
from trainer.pages.course import Course, read_course
from trainer.pages.origins import find_origins
from trainer.pages.rendering import check_libraries, write_page
from trainer.pages.run_plots import run_plots
from trainer.reports.curves import run_labels
from trainer.reports.projector import symbol_text

AUDITED_BYTES = 2**28  # of shards, up to which all is compared without being asked
_MOST_TOKENS, _MOST_SOURCES = 16, 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What a report looks at.

    Attributes:
        seq_len: tokens of an input, for the rows of batches.
        batch_size: rows of a batch.
        audit: whether all documents of all splits are compared; None: where the corpus has at most
            `AUDITED_BYTES`.
    """

    seq_len: int = DEFAULT_SEQ_LEN
    batch_size: int = DEFAULT_BATCH_SIZE
    audit: bool | None = None


def write_report(
    corpus: str,
    runs: Sequence[str],
    output: str | os.PathLike[str],
    options: ReportOptions,
    *,
    progress: bool = False,
) -> int:
    """Writes the report of a corpus and of runs on it, or on others.

    Args:
        corpus: the directory, or its URI.
        runs: directories of runs, or their URIs; none is fine.
        output: the page; one that is there is replaced.
        options: what it looks at.
        progress: shows progress bars.

    Returns:
        The size of the page, in bytes.

    Raises:
        UserError: the corpus or a run is none, or damaged, or a library is missing.
        OSError: the page cannot be written.
    """
    check_libraries()
    run_labels(runs)  # a run that is named twice is told before anything is read
    opened = open_corpus(corpus)
    courses = [read_course(run) for run in runs]
    values = _corpus_values(opened, options, progress=progress)
    values |= _run_values(courses) if courses else {"runs": []}
    return write_page("report.html.jinja", values, output)


def _corpus_values(corpus: Corpus, options: ReportOptions, *, progress: bool) -> dict[str, Any]:
    manifest = corpus.manifest
    content = measure_content(corpus, progress=progress)
    split = max(corpus.splits, key=lambda name: corpus.splits[name].num_tokens)
    origins = find_origins(corpus, split, seq_len=options.seq_len, batch_size=options.batch_size)
    disk_bytes = sum(each.disk_bytes for each in corpus.splits.values())
    audits = options.audit
    if audits is None:
        audits = disk_bytes <= AUDITED_BYTES
    sources = sorted(manifest.sources, key=lambda source: -source.source_bytes)
    return {
        "corpus": corpus,
        "facts": _facts(corpus, disk_bytes),
        "splits": _split_rows(corpus),
        "notes": _notes(corpus),
        "sources": [(each.name, size_text(each.source_bytes)) for each in sources[:_MOST_SOURCES]],
        "num_sources": len(sources),
        "content": content,
        "most": _token_rows(corpus.vocabulary, content, most=True),
        "least": _token_rows(corpus.vocabulary, content, most=False),
        "num_unseen": int((content.token_counts == 0).sum()),
        "findings": verify(corpus.directory, progress=progress) if audits else None,
        "leaks": _leak_rows,
        "disk": size_text(disk_bytes),
        "origins": origins,
        "shuffles": [] if origins is None else _shuffle_rows(origins.comparison),
        "windows": sample_windows(corpus),
        "plots": corpus_plots(corpus, content, origins),
    }


def _facts(corpus: Corpus, disk_bytes: int) -> list[tuple[str, str]]:
    manifest, vocabulary = corpus.manifest, corpus.vocabulary
    return [
        ("directory", corpus.directory),
        ("fingerprint", corpus.fingerprint[:12]),
        ("sources", f"{len(manifest.sources):,}, {size_text(manifest.source_bytes)}"),
        ("on disk", f"{count_text(len(manifest.shards), 'shard')}, {size_text(disk_bytes)}"),
        (
            "vocabulary",
            f"{vocabulary.kind}, {vocabulary.size:,} ids, stored as {manifest.dtype}, separator "
            f"{manifest.separator_id}",
        ),
        ("options", options_text(manifest.options)),
    ]


def _split_rows(corpus: Corpus) -> list[tuple[str, ...]]:
    total = sum(split.num_tokens for split in corpus.splits.values()) or 1
    return [
        (
            name,
            f"{split.num_tokens:,}",
            f"{split.num_tokens / total:.1%}",
            f"{split.num_documents:,}",
            f"{len(split.shards):,}",
            size_text(split.text_bytes),
            f"{split.text_bytes / split.num_tokens:.3f}" if split.num_tokens else "–",
        )
        for name, split in corpus.splits.items()
    ]


def _notes(corpus: Corpus) -> list[str]:
    found = one_sided_splits(amounts_of_manifest(corpus.manifest))
    return [*map(one_sided_text, found), *skipped_lines(corpus.manifest)]


def _token_rows(vocabulary: Vocabulary, content: Content, *, most: bool) -> list[tuple[str, ...]]:
    """Text, id, times and share of the most or least frequent tokens, of those that came."""
    counts = content.token_counts
    by_count = np.argsort(-counts if most else counts, kind="stable")
    ids = by_count[counts[by_count] > 0][:_MOST_TOKENS]
    return [
        (
            "end of a document"
            if token == vocabulary.separator_id
            else symbol_text(vocabulary.decode_bytes([int(token)])),
            f"{token:,}",
            f"{counts[token]:,}",
            f"{counts[token] / content.num_read:.3%}",
        )
        for token in ids
    ]


def _leak_rows(findings: Findings) -> list[tuple[str, str, str]]:
    return [(first, second, f"{count:,}") for (first, second), count in findings.duplicates.items()]


def _shuffle_rows(comparison: Any) -> list[tuple[str, ...]]:
    """The shuffle beside others: what is compared, and its figure of each."""
    kinds = (comparison.ours, comparison.perfect, comparison.buffer)
    rows = {
        "variance of a source's share in a batch (perfect: 1)": "{0.variance:.2f}",
        "autocorrelation of that share, lags 1 to 64 (perfect: 0)": "{0.autocorrelation:.3f}",
        "neighbours in the text that stand in one batch": "{0.same_batch:,}",
        "rows between neighbours in the text (median)": "{0.median_distance:,.0f}",
        "sources in a batch (mean)": "{0.sources:.1f}",
    }
    return [
        (name, *(form.format(kind).replace("nan", "–") for kind in kinds))
        for name, form in rows.items()
    ]


def _run_values(courses: Sequence[Course]) -> dict[str, Any]:
    labels = run_labels([course.run for course in courses])
    return {
        "runs": [
            {"label": label, "facts": _run_facts(course), "course": course}
            for label, course in zip(labels, courses, strict=True)
        ],
        "run_plots": run_plots(courses),
    }


def _run_facts(course: Course) -> list[tuple[str, str]]:
    config, last = course.config, course.entries[-1]
    finite = [
        entry
        for entry in course.entries
        if entry["kind"] == "validation" and entry.get("bits_per_byte") is not None
    ]
    rates = [
        entry["tokens_per_second"] for entry in course.entries if entry.get("tokens_per_second")
    ]
    facts = [
        ("directory", course.run),
        ("corpus", config.corpus),
        ("model", f"{config.model}, {count_text(config.layers, 'layer')} of {config.units} units"),
        ("batches", f"{config.batch_size} rows of {config.seq_len} tokens"),
        ("reached", f"step {last['step']:,} of {config.steps:,}"),
    ]
    if last.get("seconds") is not None:
        facts.append(("time in training steps", time_text(last["seconds"])))
    if rates:
        facts.append(("speed", f"{np.median(rates):,.0f} tokens/s (median)"))
    if finite:
        best = min(finite, key=lambda entry: entry["bits_per_byte"])
        facts.append(
            ("best validation", f"{best['bits_per_byte']:.4f} bits a byte, step {best['step']:,}")
        )
    return facts
