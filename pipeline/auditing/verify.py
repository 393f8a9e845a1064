"""Verification: is a corpus what its manifest says, and is no text in two splits?"""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterator

import numpy as np

from pipeline.errors import UserError
from pipeline.files import AnyPath, StoreError, digest, join, local_copy, size_of
from pipeline.layout import array_record
from pipeline.layout.loading import load_manifest
from pipeline.layout.manifest import FILE_NAME, Manifest, Shard
from pipeline.layout.names import ARRAY_RECORD
from pipeline.layout.records import read_records
from pipeline.preparing.engines import Advance, local
from pipeline.progress import progress_bar


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardCheck:
    """One shard to check: its file, what the manifest says of it, and how to read it."""

    path: str
    shard: Shard
    itemsize: int
    record_tokens: int
    separator: bytes
    starts_document: bool
    has_array_record: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found in one shard.

    Attributes:
        problem: what is wrong with it, or `None`.
        documents: `[n]` uint64, ascending; hashes of the documents that lie whole in it.
    """

    problem: str | None
    documents: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
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
) -> Findings:
    """Checks every file of a corpus: digests, counts, fingerprints, splits.

    Args:
        directory: the corpus.
        workers: processes.
        progress: shows a progress bar.

    Raises:
        UserError: the directory is no corpus, or its manifest is damaged.
    """
    manifest = load_manifest(directory)
    has_array_records = ARRAY_RECORD in manifest.file_formats
    checks = [
        ShardCheck(
            path=join(directory, shard.file),
            shard=shard,
            itemsize=np.dtype(manifest.dtype).itemsize,
            record_tokens=manifest.record_tokens,
            separator=manifest.separator_id.to_bytes(np.dtype(manifest.dtype).itemsize, "little"),
            starts_document=_starts_document(manifest, shard),
            has_array_record=has_array_records,
        )
        for shard in manifest.shards
    ]
    total = sum(check.shard.disk_bytes for check in checks)
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
    return Findings(
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
        num_bytes = size_of(check.path)
        if num_bytes != shard.disk_bytes:
            wrong = f"has {num_bytes} bytes, the manifest says {shard.disk_bytes}"
            return Checked(problem=wrong, documents=none)
        with local_copy(check.path) as path:
            return _check_content(check, path, advance)
    except FileNotFoundError:
        return Checked(problem="is missing", documents=none)
    except StoreError:
        raise
    except (OSError, UserError) as error:
        return Checked(problem=str(error), documents=none)


def _check_content(check: ShardCheck, path: str, advance: Advance) -> Checked:
    """Checks a shard of the right size that lies at `path` on this machine."""
    shard, counts = check.shard, [0, 0]
    documents = np.unique(np.fromiter(_document_hashes(check, path, counts), np.uint64))
    found = digest(path)
    advance(shard.disk_bytes)
    problem: str | None = None
    if found != shard.blake3:
        problem = f"has the digest {found[:12]}…, the manifest says {shard.blake3[:12]}…"
    elif counts != [shard.num_records, shard.num_tokens]:
        problem = (
            f"has {counts[0]} records and {counts[1]} tokens, the manifest says "
            f"{shard.num_records} and {shard.num_tokens}"
        )
    elif check.has_array_record:
        problem = array_record.find_problem(check.path, path)
    return Checked(problem=problem, documents=documents)


def _document_hashes(check: ShardCheck, path: str, counts: list[int]) -> Iterator[int]:
    """Yields a hash of every document that lies whole in a shard; adds to the two counts."""
    itemsize = check.itemsize
    whole = check.starts_document
    hasher = hashlib.blake2b(digest_size=8)
    for payload in read_records(path):
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


def _check_metadata(directory: AnyPath, manifest: Manifest) -> list[str]:
    """The files beside the shards: the vocabulary and what TFDS reads."""
    problems = []
    for file, expected in manifest.files.items():
        try:
            if digest(join(directory, file)) != expected:
                problems.append(f"{file}: is not the file that the manifest vouches for")
        except FileNotFoundError:
            problems.append(f"{file}: is missing")
        except OSError as error:
            problems.append(f"{file}: cannot be read ({error.strerror})")
    return problems


def _check_splits(manifest: Manifest) -> list[str]:
    """Every byte of every source in one shard; of sources with many documents, one a split."""
    pieces: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for name, split in manifest.splits.items():
        for shard in split.shards:
            for piece in shard.pieces:
                index = piece.source_index
                key = (index, "" if manifest.sources[index].is_document else name)
                pieces.setdefault(key, []).append((piece.start, piece.stop))
    problems = []
    for index, source in enumerate(manifest.sources):
        for name in [""] if source.is_document else manifest.splits:
            position = 0
            for start, stop in sorted(pieces.get((index, name), [])):
                if start != position:
                    break
                position = stop
            if position != source.length:
                problems.append(
                    f"{FILE_NAME}: {source.unit} {position} of source {source.name} is in no "
                    "shard, or in two"
                )
    return problems


def _starts_document(manifest: Manifest, shard: Shard) -> bool:
    if not shard.pieces:
        return False
    first = shard.pieces[0]
    return first.start == 0 or not manifest.sources[first.source_index].is_document


def _duplicates(documents: dict[str, np.ndarray]) -> dict[tuple[str, str], int]:
    counts = {
        (first, second): len(np.intersect1d(documents[first], documents[second]))
        for first, second in itertools.combinations(documents, 2)
    }
    return {pair: count for pair, count in counts.items() if count}


def _union(hashes: list[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(hashes)) if hashes else np.array([], np.uint64)
