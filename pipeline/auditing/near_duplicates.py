"""Near-duplicates: passages of one split that stand in a larger one, with some words changed.

Two passages are alike by the Jaccard index of their shingles (see `signatures`): the shingles that
both have, of those that either has. Of all pairs those are compared whose signatures agree in a
band (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, section 3.4).

Memory: the signatures of all splits but the largest, a kilobyte a passage, in files that the
processes share; and those of a shard in each process.
"""

import dataclasses
import functools
import os
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.auditing.passages import Passage, find_passages, read_tokens
from pipeline.auditing.signatures import (
    NUM_VALUES,
    Signatures,
    SignTask,
    check_installed,
    sign_shard,
)
from pipeline.layout.manifest import Shard
from pipeline.preparing.engines import Advance, local
from pipeline.progress import progress_bar
from pipeline.reading.corpus import Corpus
from pipeline.reading.opening import open_corpus

LEAST_SIMILARITY = 0.5
_NUM_BANDS = 32  # of 4 values: of similarity 0.3, 23% of the pairs agree in one; of 0.5, 87%
_NUM_COMPARED = 2**16  # pairs, at once


class Place(NamedTuple):
    """Where a passage stands in a corpus.

    Attributes:
        split: the name of the split.
        passage: its bytes in a source.
    """

    split: str
    passage: Passage


class NearDuplicate(NamedTuple):
    """A passage of a split, and the most similar one of the larger splits.

    Attributes:
        similarity: an estimate of their Jaccard index, ± 0.09 (95%).
        place: of the passage.
        other: of the other one.
    """

    similarity: float
    place: Place
    other: Place


@dataclasses.dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """What was found.

    Attributes:
        num_passages: of every split but the largest.
        num_found: of these, the passages that are nearly in a larger split, where there are any.
        most_similar: some of them, the most similar first.
    """

    num_passages: dict[str, int]
    num_found: dict[str, int]
    most_similar: tuple[NearDuplicate, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatchTask(SignTask):
    """A shard whose passages are looked for in smaller splits.

    Attributes:
        index: the folder of the index.
        first_row: of the smaller splits in it.
    """

    index: str
    first_row: int


class Matches(NamedTuple):
    """Rows of an index, each with the passage of a shard that is most similar to it.

    Attributes:
        rows: `[n]` int64, each once.
        similarities: `[n]` float64.
        places: `[n, 3]` int64, as in `Signatures`.
    """

    rows: np.ndarray
    similarities: np.ndarray
    places: np.ndarray


class _SplitShard(NamedTuple):
    split: str
    shard: Shard
    task: SignTask


def find_near_duplicates(
    directory: str | os.PathLike[str],
    *,
    workers: int = 1,
    num_shown: int = 10,
    progress: bool = False,
) -> NearDuplicates:
    """Finds the passages of each split that are nearly in a larger one.

    Args:
        directory: the corpus.
        workers: processes.
        num_shown: how many of them to name.
        progress: shows progress bars.

    Raises:
        UserError: the directory is no corpus or is damaged, or a package is missing.
    """
    check_installed()
    corpus = open_corpus(directory)
    run = functools.partial(local.run, workers=workers)
    splits = sorted(corpus.splits, key=lambda split: -corpus.splits[split].num_tokens)
    shards = [
        _split_shard(corpus, split, s) for split in splits for s in corpus.splits[split].shards
    ]
    smaller = [each for each in shards if each.split != splits[0]]
    larger = [each for each in shards if each.split != splits[-1]]
    with tempfile.TemporaryDirectory() as index:
        tasks = [each.task for each in smaller]
        with progress_bar("signing", _num_bytes(tasks), progress) as bar:
            signed = run(sign_shard, tasks, advance=bar.update)
        own_shards = np.repeat(np.arange(len(signed)), [len(each.values) for each in signed])
        own_places = np.concatenate(
            [each.places for each in signed] or [np.empty((0, 3), np.int64)]
        )
        save_index(index, [each.values for each in signed])
        row_splits = np.array([splits.index(each.split) for each in smaller], int)[own_shards]
        first_rows = dict(zip(splits, _counts(row_splits, splits).cumsum(), strict=True))
        matching = [
            MatchTask(**vars(each.task), index=index, first_row=int(first_rows[each.split]))
            for each in larger
        ]
        with progress_bar("comparing", _num_bytes(matching), progress) as bar:
            matches = run(match_shard, matching, advance=bar.update)
    similarities, others = _best(matches, len(row_splits))
    found = np.flatnonzero(similarities)
    shown = found[np.argsort(-similarities[found], kind="stable")][:num_shown]
    num_passages, num_found = (_counts(rows, splits) for rows in (row_splits, row_splits[found]))
    return NearDuplicates(
        num_passages=dict(zip(splits[1:], map(int, num_passages[1:]), strict=True)),
        num_found={
            split: int(count) for split, count in zip(splits, num_found, strict=True) if count
        },
        most_similar=tuple(
            NearDuplicate(
                float(similarities[row]),
                _place(corpus, smaller[own_shards[row]], own_places[row]),
                _place(corpus, larger[others[row, 0]], others[row, 1:]),
            )
            for row in shown
        ),
    )


def save_index(folder: str, values: Sequence[np.ndarray]) -> None:
    """Writes signatures so that `match_shard` finds similar ones fast.

    Args:
        folder: where to.
        values: `[n, NUM_VALUES]` uint32 each; row after row of all of them.
    """
    rows = np.concatenate([*values, np.empty((0, NUM_VALUES), np.uint32)])
    keys = _band_keys(rows)
    order = np.argsort(keys, axis=1, kind="stable")
    np.save(os.path.join(folder, "values.npy"), rows)
    np.save(os.path.join(folder, "keys.npy"), np.take_along_axis(keys, order, axis=1))
    np.save(os.path.join(folder, "order.npy"), order)


def match_shard(task: MatchTask, advance: Advance) -> Matches:
    """Finds the rows of an index that are alike to a passage of a shard.

    Raises:
        UserError: a record is damaged.
        OSError: a file cannot be read.
    """
    signed = sign_shard(task, advance)
    values, keys, order = (
        np.load(os.path.join(task.index, f"{name}.npy"), mmap_mode="r")
        for name in ("values", "keys", "order")
    )
    pairs = [np.empty((0, 2), np.int64)]  # of a row and one of the shard's
    for band, own_keys in enumerate(_band_keys(signed.values)):
        # Of several passages with one key the first stands for all: it is in their band alike.
        wanted, own_rows = np.unique(own_keys, return_index=True)
        start = np.searchsorted(keys[band], wanted, side="left")
        counts = np.searchsorted(keys[band], wanted, side="right") - start
        places = np.repeat(start - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        found = np.stack([order[band][places], np.repeat(own_rows, counts)], axis=1)
        pairs.append(found[found[:, 0] >= task.first_row])
    candidates = np.unique(np.concatenate(pairs), axis=0)
    return _most_similar(values, signed, candidates)


def _most_similar(values: np.ndarray, signed: Signatures, pairs: np.ndarray) -> Matches:
    similarities = np.array([])
    for start in range(0, len(pairs), _NUM_COMPARED):
        rows, own_rows = pairs[start : start + _NUM_COMPARED].T
        equal = (values[rows] == signed.values[own_rows]).mean(axis=1)
        similarities = np.append(similarities, equal)
    kept = np.flatnonzero(similarities >= LEAST_SIMILARITY)
    kept = kept[np.lexsort((-similarities[kept], pairs[kept, 0]))]
    rows, first = np.unique(pairs[kept, 0], return_index=True)
    best = kept[first]
    return Matches(rows, similarities[best], signed.places[pairs[best, 1]])


def _best(matches: Sequence[Matches], num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the similarity of each row, 0 where none was found, and the shard and place of it."""
    similarities, others = np.zeros(num_rows), np.zeros((num_rows, 4), np.int64)
    for number, found in enumerate(matches):
        better = found.similarities > similarities[found.rows]
        rows = found.rows[better]
        similarities[rows] = found.similarities[better]
        others[rows, 0] = number
        others[rows, 1:] = found.places[better]
    return similarities, others


def _counts(row_splits: np.ndarray, splits: Sequence[str]) -> np.ndarray:
    return np.bincount(row_splits, minlength=len(splits))


def _band_keys(values: np.ndarray) -> np.ndarray:
    """Returns a hash of every band of signatures, `[_NUM_BANDS, n]` uint64."""
    bands = values.astype(np.uint64).reshape(len(values), _NUM_BANDS, NUM_VALUES // _NUM_BANDS)
    keys = np.zeros(bands.shape[:2], np.uint64)
    for column in range(bands.shape[2]):
        keys = (keys ^ bands[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(32)
    return np.ascontiguousarray(keys.T)


def _split_shard(corpus: Corpus, split: str, shard: Shard) -> _SplitShard:
    path = os.path.join(corpus.directory, shard.file)
    task = SignTask(path=path, vocabulary=corpus.vocabulary, disk_bytes=shard.disk_bytes)
    return _SplitShard(split, shard, task)


def _place(corpus: Corpus, where: _SplitShard, place: np.ndarray) -> Place:
    first_token, start, num_bytes = map(int, place)
    tokens = read_tokens(corpus, where.shard, first_token, first_token + 1)
    (found,) = find_passages(corpus, where.shard, first_token, tokens)
    begin = found.start + start
    passage = dataclasses.replace(found, start=begin, stop=begin + num_bytes)
    return Place(where.split, passage)


def _num_bytes(tasks: Sequence[SignTask]) -> int:
    return sum(task.disk_bytes for task in tasks)
