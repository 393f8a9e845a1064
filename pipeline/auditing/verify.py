"""Is a corpus what its manifest says, and is no text in two splits?"""

import hashlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import UserError
from pipeline.layout import array_record as random_access
from pipeline.layout.manifest import Manifest, Shard, load_manifest
from pipeline.layout.records import read_records
from pipeline.preparing import journal
from pipeline.preparing.engines import Advance, local
from pipeline.preparing.vocabularies import load_vocabulary
from pipeline.progress import progress_bar

_MAX_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class ShardCheck:
    """One shard to check: its file, what the manifest says of it, and how to read it."""

    path: str
    shard: Shard
    itemsize: int
    record_tokens: int
    separator: bytes
    starts_document: bool
    array_record: bool


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found in one shard.

    Attributes:
        problem: what is wrong with it, or `None`.
        documents: `[n]` uint64, ascending; hashes of the documents that lie whole in it.
    """

    problem: str | None
    documents: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `verify` found.

    Attributes:
        problems: what is wrong, one sentence each, beginning with the file.
        bad_shards: the files among these that are shards, for `repair`.
        num_shards: the shards that were checked.
        num_documents: documents that lie whole in a shard.
        duplicates: pairs of splits -> the number of different documents that both have.
    """

    problems: tuple[str, ...]
    bad_shards: tuple[str, ...]
    num_shards: int
    num_documents: int
    duplicates: dict[tuple[str, str], int]


def verify(
    directory: str | os.PathLike[str], *, workers: int = 1, progress: bool = False
) -> Report:
    """Checks every file of a corpus: digests, counts, fingerprints, splits.

    Args:
        directory: the corpus.
        workers: processes.
        progress: shows a progress bar.

    Raises:
        UserError: the directory is no corpus, or its manifest is damaged.
    """
    directory = Path(directory)
    manifest = load_manifest(directory)
    array_record = any(directory.glob(f"*.{random_access.FORMAT}-*-of-*"))
    checks = [
        ShardCheck(
            path=str(directory / shard.file),
            shard=shard,
            itemsize=np.dtype(manifest.dtype).itemsize,
            record_tokens=manifest.record_tokens,
            separator=manifest.separator_id.to_bytes(np.dtype(manifest.dtype).itemsize, "little"),
            starts_document=_starts_document(manifest, shard),
            array_record=array_record,
        )
        for split in manifest.splits.values()
        for shard in split.shards
    ]
    total = sum(check.shard.num_bytes for check in checks)
    with progress_bar("verifying", total, progress) as bar:
        results = local.run(check_shard, checks, workers=workers, advance=bar.update)
    found = dict(zip((check.shard.file for check in checks), results, strict=True))
    bad_shards = tuple(file for file, checked in found.items() if checked.problem)
    problems = [f"{file}: {checked.problem}" for file, checked in found.items() if checked.problem]
    problems += _check_metadata(directory, manifest) + _check_splits(manifest)
    documents = {
        name: _union([found[shard.file].documents for shard in split.shards])
        for name, split in manifest.splits.items()
    }
    return Report(
        problems=tuple(problems),
        bad_shards=bad_shards,
        num_shards=len(checks),
        num_documents=sum(len(checked.documents) for checked in results),
        duplicates=_duplicates(documents),
    )


def check_shard(check: ShardCheck, advance: Advance) -> Checked:
    """Checks one shard: size, digest, checksums of the records, counts."""
    shard, none = check.shard, np.array([], np.uint64)
    try:
        num_bytes = os.path.getsize(check.path)
        if num_bytes != shard.num_bytes:
            wrong = f"has {num_bytes} bytes, the manifest says {shard.num_bytes}"
            return Checked(problem=wrong, documents=none)
        counts = [0, 0]
        hashes = _document_hashes(check, counts)
        documents = np.unique(np.fromiter(hashes, np.uint64))
        digest = journal.file_digest(check.path)
    except FileNotFoundError:
        return Checked(problem="is missing", documents=none)
    except (OSError, UserError) as error:
        return Checked(problem=str(error), documents=none)
    advance(num_bytes)
    problem: str | None = None
    if digest != shard.sha256:
        problem = f"has the digest {digest[:12]}…, the manifest says {shard.sha256[:12]}…"
    elif counts != [shard.num_records, shard.num_tokens]:
        problem = (
            f"has {counts[0]} records and {counts[1]} tokens, the manifest says"
            f" {shard.num_records} and {shard.num_tokens}"
        )
    elif check.array_record:
        problem = random_access.find_problem(check.path)
    return Checked(problem=problem, documents=documents)


def _document_hashes(check: ShardCheck, counts: list[int]) -> Iterator[int]:
    """Yields a hash of every document that lies whole in a shard; adds to the two counts."""
    itemsize = check.itemsize
    whole = check.starts_document
    hasher = hashlib.blake2b(digest_size=8)
    for payload in read_records(check.path):
        counts[0] += 1
        counts[1] += len(payload) // itemsize
        tokens = np.frombuffer(payload, f"<u{itemsize}")
        start = 0
        for stop in np.flatnonzero(tokens == int.from_bytes(check.separator, "little")):
            hasher.update(payload[start * itemsize : stop * itemsize])
            if whole:
                yield int.from_bytes(hasher.digest(), "little")
            hasher, whole, start = hashlib.blake2b(digest_size=8), True, int(stop) + 1
        hasher.update(payload[start * itemsize :])


def _check_metadata(directory: Path, manifest: Manifest) -> list[str]:
    """The files beside the shards: the vocabulary and what TFDS reads."""
    problems = []
    try:
        fingerprint = load_vocabulary(directory).fingerprint
        if fingerprint != manifest.vocabulary_fingerprint:
            problems.append("its vocabulary is not that of the manifest")
    except UserError as error:
        problems.append(str(error))
    try:
        info = journal.read_json(directory / "dataset_info.json")
        lengths = {
            split["name"]: [int(length) for length in split["shardLengths"]]
            for split in info["splits"]
        }
        expected = {
            name: [shard.num_records for shard in split.shards]
            for name, split in manifest.splits.items()
        }
        if lengths != expected:
            problems.append("dataset_info.json: its shard lengths are not those of the manifest")
    except (KeyError, TypeError, ValueError):
        problems.append("dataset_info.json: is missing or damaged")
    if journal.read_json(directory / "features.json") is None:
        problems.append("features.json: is missing or damaged")
    return problems


def _check_splits(manifest: Manifest) -> list[str]:
    """Every byte of every source in one shard; of sources with many documents, one a split."""
    pieces: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for name, split in manifest.splits.items():
        for shard in split.shards:
            for index, start, stop, _ in shard.pieces:
                key = (index, "" if manifest.sources[index].is_document else name)
                pieces.setdefault(key, []).append((start, stop))
    problems = []
    for index, source in enumerate(manifest.sources):
        for name in [""] if source.is_document else manifest.splits:
            position = 0
            for start, stop in sorted(pieces.get((index, name), [])):
                if start != position:
                    break
                position = stop
            if position != source.length:
                unit = "byte" if source.length == source.num_bytes else "row"
                problems.append(
                    f"manifest.json: {unit} {position} of source {source.name} is in no shard,"
                    " or in two"
                )
    return problems


def _starts_document(manifest: Manifest, shard: Shard) -> bool:
    if not shard.pieces:
        return False
    index, start, _, _ = shard.pieces[0]
    return start == 0 or not manifest.sources[index].is_document


def _duplicates(documents: dict[str, np.ndarray]) -> dict[tuple[str, str], int]:
    counts = {
        (first, second): len(np.intersect1d(documents[first], documents[second]))
        for first, second in itertools.combinations(documents, 2)
    }
    return {pair: count for pair, count in counts.items() if count}


def _union(hashes: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(hashes)) if hashes else np.array([], np.uint64)


def describe(report: Report) -> str:
    """Returns a report for people."""
    lines = [f"{report.num_shards:,} shards, {report.num_documents:,} whole documents"]
    for (first, second), count in report.duplicates.items():
        lines.append(
            f"note: {count:,} documents of {second} are in {first} too, word for word (copies"
            " among the sources); a model has seen them before it is measured on them"
        )
    lines += report.problems[:_MAX_SHOWN]
    if len(report.problems) > _MAX_SHOWN:
        lines.append(f"… and {len(report.problems) - _MAX_SHOWN} more problems")
    lines.append(f"{len(report.problems)} problems" if report.problems else "all is well")
    return "\n".join(lines)
