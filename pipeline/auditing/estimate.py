"""Estimate of what a plan will make and take, from a sample of the text, in a second or so."""

import dataclasses
import io
import math
import time
from typing import NamedTuple

import numpy as np

from pipeline.auditing.samples import Sample, is_plain, take_samples
from pipeline.errors import UserError
from pipeline.layout.records import RecordWriter, record_bytes
from pipeline.preparing.counting import sample_texts
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Pieces, Plan
from pipeline.preparing.vocabularies import (
    SAMPLE_BYTES,
    given_vocabulary,
    learn_subwords,
    sample_tasks,
)
from pipeline.reading.geometry import Windows
from pipeline.text.pieces import Piece
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary, CodePoints
from pipeline.vocabulary.sentence_pieces import SentencePieceVocabulary
from pipeline.vocabulary.subword import SubwordVocabulary

_SECONDS = 0.5  # to encode samples
# Measured, see WORKSPACE_NOTES.md.
_PARENT_BYTES = 65 * 10**6
_WORKER_BYTES = {
    ByteVocabulary.kind: 50 * 10**6,
    CharVocabulary.kind: 50 * 10**6,
    SubwordVocabulary.kind: 110 * 10**6,
    SentencePieceVocabulary.kind: 60 * 10**6,
}
_LEARNING_BYTES = 150 * 10**6
_START_SECONDS = 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitEstimate:
    """What a split will hold. Without a `Windows`, `num_windows` is 0.

    `shard_tokens` are the tokens of each shard.
    """

    num_shards: int
    text_bytes: int
    num_documents: int
    num_tokens: int
    num_windows: int
    shard_tokens: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a corpus will be.

    Attributes:
        splits: name -> what it will hold.
        is_exact: the tokens are no estimate.
        is_least: there are at least so many tokens, perhaps far more: of a compressed file, too
            little was read to know how much text it holds.
        token_error: half the width of the 95% interval of all `num_tokens`, as a fraction; 0 where
            all was read; `None` where one sample had to do.
        read_bytes: of the sources, that the sample took.
        source_bytes: of the sources.
        vocabulary_bound: what is to be said before its size: nothing, `about` or `at least`.
        vocabulary_size: ids.
        disk_bytes: of all shards.
        seconds: to prepare, on this machine with its other work; disks may be slower.
        memory_bytes: of all processes.
    """

    splits: dict[str, SplitEstimate]
    is_exact: bool
    is_least: bool
    token_error: float | None
    read_bytes: int
    source_bytes: int
    vocabulary_bound: str
    vocabulary_size: int
    disk_bytes: int
    seconds: float
    memory_bytes: int


def estimate(
    plan: Plan, options: PrepareOptions, *, workers: int, windows: Windows | None = None
) -> Estimate:
    """Estimates a corpus from its plan and from samples spread evenly over the text.

    Args:
        plan: where the text is to be cut.
        options: how the corpus is to be.
        workers: processes that would prepare it.
        windows: which windows to count.

    Raises:
        UserError: the sample is not UTF-8 where it must be, has characters that a given vocabulary
            lacks, or no text at all.
    """
    total = plan.source_bytes
    pieces = [piece for shard in plan for piece in shard]
    given = given_vocabulary(options)
    started = time.perf_counter()
    samples = take_samples(pieces, total, is_utf8=not isinstance(given, ByteVocabulary))
    read_seconds = time.perf_counter() - started
    read_text = sum(sample.read_text for sample in samples)
    made = _Made(given) if given is not None else _make(plan, options, samples)
    encoded, rate = _encode(samples, made.vocabulary, options.record_tokens)
    ratios = _Ratios(encoded)
    splits = {
        split: _estimate_split(
            shards, ratios, windows, fraction=1.0 if len(together) == 1 else options.splits[split]
        )
        for together, shards in plan.shards.items()
        for split in together
    }
    num_tokens = sum(split.num_tokens for split in splits.values())
    itemsize = made.vocabulary.dtype.itemsize
    overhead = record_bytes(options.record_tokens * itemsize) / (options.record_tokens * itemsize)
    is_byte = isinstance(made.vocabulary, ByteVocabulary)
    # A pass over the text takes as long as its largest shard, or as all that a worker gets.
    text_of_shards = [sum(map(ratios.text_bytes_of, shard)) for shard in plan]
    longest = max(*text_of_shards, sum(text_of_shards) / workers)
    seconds = made.num_passes * longest * (1 / rate + read_seconds / read_text)
    return Estimate(
        splits=splits,
        is_exact=is_byte and all(map(is_plain, pieces)),
        is_least=any(sample.is_least for sample in samples),
        token_error=_error(encoded, total),
        read_bytes=sum(sample.read_source for sample in samples),
        source_bytes=total,
        vocabulary_bound=made.bound,
        vocabulary_size=made.vocabulary.size,
        disk_bytes=round(num_tokens * itemsize * overhead),
        seconds=_START_SECONDS + made.seconds + seconds,
        memory_bytes=_memory_bytes(options, made.vocabulary, min(workers, len(text_of_shards))),
    )


class _Made(NamedTuple):
    """A vocabulary, how well its size is known, and what it takes to make it."""

    vocabulary: Vocabulary
    bound: str = ""
    num_passes: int = 1  # over the text, writing it included
    seconds: float = 0.0  # besides


def _make(plan: Plan, options: PrepareOptions, samples: list[Sample]) -> _Made:
    """Makes a vocabulary much as prepare would."""
    texts = [text for sample in samples for text in sample.texts]
    if options.bpe_size is None:
        points = [CodePoints().decode(text, final=True) for text in texts]
        characters = CharVocabulary(np.unique(np.concatenate(points)))
        bound = "" if _is_all(samples, plan.source_bytes) else "at least "
        return _Made(characters, bound="about " if options.min_count > 1 else bound, num_passes=2)
    is_own = all(is_plain(piece) for shard in plan for piece in shard)
    if is_own:  # what prepare itself will take
        texts = [
            text for task in sample_tasks(plan) for text in sample_texts(task, lambda done: None)
        ]
    else:  # for which it will read everything
        texts = texts[: 1 + SAMPLE_BYTES * len(texts) // max(1, sum(map(len, texts)))]
    started = time.perf_counter()
    vocabulary = learn_subwords(texts, options.bpe_size, progress=False)
    seconds = time.perf_counter() - started
    if is_own:
        return _Made(vocabulary, seconds=seconds)
    return _Made(vocabulary, bound="about ", num_passes=2, seconds=seconds)


def _encode(
    samples: list[Sample], vocabulary: Vocabulary, record_tokens: int
) -> tuple[list[tuple[Sample, int]], float]:
    """Encodes samples for as long as there is time.

    Returns:
        Samples with their tokens, and how many bytes of text a core encodes and writes in a second.
    """
    writer = RecordWriter(
        io.BytesIO(), record_tokens=record_tokens, itemsize=vocabulary.dtype.itemsize
    )
    _num_tokens(samples[0], vocabulary, writer)  # the first time fills tables
    encoded: list[tuple[Sample, int]] = []
    seconds, num_bytes = 0.0, 0
    for sample in samples:
        started = time.perf_counter()
        encoded.append((sample, _num_tokens(sample, vocabulary, writer)))
        seconds += time.perf_counter() - started
        num_bytes += sample.kept_text
        if seconds > _SECONDS:
            break
    return encoded, max(num_bytes, 1) / max(seconds, 1e-9)


def _num_tokens(sample: Sample, vocabulary: Vocabulary, writer: RecordWriter) -> int:
    """Encodes and writes a sample; returns its tokens, with the separators of rows and lines."""
    try:
        if sample.piece.source.is_document:
            parts = list(map(vocabulary.encode, sample.texts))
        else:
            parts = vocabulary.encode_documents(list(sample.texts))
    except UserError as error:
        raise UserError(f"{sample.piece.source.path}: {error}") from error
    for ids in parts:
        writer.write(ids)
    return sum(map(len, parts))


def _kind(piece: Piece) -> object:
    """What has much the same number of tokens for each byte of its sources."""
    return type(piece.source.format), piece.source.format.compression


class _Ratios:
    """How much there is in a byte of the sources, as they lie there, for each kind of source.

    Args:
        encoded: samples with their tokens. Each counts as what it stands for.
    """

    def __init__(self, encoded: list[tuple[Sample, int]]):
        self._sums: dict[object, np.ndarray] = {}
        for sample, num_tokens in encoded:
            scale = sample.stands_for / sample.read_source
            tokens = num_tokens * sample.read_text / max(1, sample.kept_text)
            row = scale * np.array(
                [tokens, sample.read_text, sample.read_documents, sample.read_source]
            )
            for kind in (_kind(sample.piece), None):
                self._sums[kind] = self._sums.get(kind, 0.0) + row

    def _of(self, piece: Piece, index: int) -> float:
        sums = self._sums.get(_kind(piece), self._sums[None])
        return float(sums[index] / sums[3]) * piece.source_bytes

    def tokens_of(self, piece: Piece) -> float:
        """The tokens of a piece, the separators of rows and lines included."""
        return self._of(piece, 0)

    def text_bytes_of(self, piece: Piece) -> float:
        """The bytes of the text of a piece."""
        return self._of(piece, 1)

    def documents_of(self, piece: Piece) -> float:
        """The rows or lines of a piece."""
        return self._of(piece, 2)


def _estimate_split(
    shards: list[Pieces], ratios: _Ratios, windows: Windows | None, *, fraction: float
) -> SplitEstimate:
    """Estimates a split that gets a fraction of the text of its shards."""
    tokens = [
        round(fraction * sum(ratios.tokens_of(p) + _ends_only_document(p) for p in shard))
        for shard in shards
    ]
    pieces = [piece for shard in shards for piece in shard]
    alone = list(filter(_ends_only_document, pieces))
    return SplitEstimate(
        num_shards=len(shards),
        text_bytes=round(fraction * sum(map(ratios.text_bytes_of, pieces))),
        num_documents=round(fraction * (sum(map(ratios.documents_of, pieces)) + len(alone))),
        num_tokens=sum(tokens),
        num_windows=int(windows.first_windows(tokens)[-1]) if windows else 0,
        shard_tokens=tuple(tokens),
    )


def _ends_only_document(piece: Piece) -> bool:
    return piece.source.is_document and piece.ends_document


def _is_all(samples: list[Sample], total: int) -> bool:
    """Whether samples are all of the text, but for characters that their blocks were cut in."""
    return sum(sample.read_source for sample in samples) == total and all(
        sample.kept_text + 6 >= sample.read_text for sample in samples
    )


def _error(encoded: list[tuple[Sample, int]], total: int) -> float | None:
    """The 95% interval of a ratio estimate (Cochran, Sampling Techniques, 1977, section 6.3)."""
    samples = [sample for sample, _ in encoded]
    if _is_all(samples, total):
        return 0.0
    if len(samples) < 2:
        return None
    sizes = np.array([sample.stands_for for sample in samples], np.float64)
    counts = np.array(
        [
            tokens / max(1, sample.kept_text) * sample.read_text / sample.read_source
            for sample, tokens in encoded
        ]
    )
    counts *= sizes
    ratio = counts.sum() / sizes.sum()
    if ratio == 0:
        return None
    sampled = min(1.0, sum(sample.read_source for sample in samples) / total)
    variance = ((counts - ratio * sizes) ** 2).sum() / (len(counts) - 1)
    error = math.sqrt((1 - sampled) * variance / len(counts)) / sizes.mean()
    return float(1.96 * error / ratio)


def _memory_bytes(options: PrepareOptions, vocabulary: Vocabulary, workers: int) -> int:
    worker = _WORKER_BYTES[vocabulary.kind]
    if options.bpe_size is not None:
        worker = max(worker, _LEARNING_BYTES)
    return _PARENT_BYTES + workers * worker
