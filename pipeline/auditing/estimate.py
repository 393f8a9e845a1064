"""Estimate of what a plan will make and take, from a sample of the text."""

import dataclasses
import io
import math
import time
from typing import NamedTuple

import numpy as np

from pipeline.files import BLOCK_BYTES, read_blocks
from pipeline.layout.records import RecordWriter, record_bytes
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Pieces, Plan, num_source_bytes
from pipeline.preparing.vocabularies import given_vocabulary
from pipeline.reading.geometry import Windows
from pipeline.text.documents import read_parts
from pipeline.text.pieces import Piece
from pipeline.vocabulary.base import Vocabulary
from pipeline.vocabulary.bpe import train_bpe
from pipeline.vocabulary.characters import ByteVocabulary, CharVocabulary, CodePoints

_NUM_SAMPLES = 64
_SAMPLE_BYTES = 2**20  # of a piece that can be read from its beginning only
_WORKER_BYTES, _PARENT_BYTES = 50 * 10**6, 65 * 10**6  # measured, see WORKSPACE_NOTES.md


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitEstimate:
    """What a split will hold. Without a `Windows`, `num_windows` is 0."""

    num_shards: int
    text_bytes: int
    num_documents: int
    num_tokens: int
    num_windows: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a corpus will be.

    Attributes:
        splits: name -> what it will hold.
        token_error: half the width of the 95% interval of all `num_tokens`, as a fraction.
        vocabulary_size: ids; of characters, those in the sample, hence at least.
        disk_bytes: of all shards.
        seconds: to prepare, all workers together; disks may be slower.
        memory_bytes: of all processes.
    """

    splits: dict[str, SplitEstimate]
    token_error: float
    vocabulary_size: int
    disk_bytes: int
    seconds: float
    memory_bytes: int


def estimate(
    plan: Plan, options: PrepareOptions, *, workers: int, windows: Windows | None = None
) -> Estimate:
    """Estimates a corpus from its plan and from 64 blocks spread evenly over the text.

    Args:
        plan: where the text is to be cut.
        options: how the corpus is to be.
        workers: processes that would prepare it.
        windows: which windows to count.

    Raises:
        UserError: the sample is not UTF-8 where it must be.
    """
    total = plan.source_bytes
    samples = _sample([piece for pieces in plan for piece in pieces], total)
    texts = [sample.text for sample in samples]
    vocabulary = _vocabulary(options, texts)
    if isinstance(vocabulary, ByteVocabulary):
        counts = np.array([len(text) for text in texts], np.float64)
    elif isinstance(vocabulary, CharVocabulary):
        # A character has one byte that does not continue another.
        counts = np.array([_num_characters(text) for text in texts], np.float64)
    else:
        counts = np.array([len(vocabulary.encode(_whole(text))) for text in texts], np.float64)
    documents = np.array([sample.num_documents for sample in samples], np.float64)
    counts += documents  # each ends with a separator
    sizes = np.array([sample.source_bytes for sample in samples], np.float64)
    ratios = _Ratios(
        tokens=counts.sum() / sizes.sum(),
        text_bytes=sum(map(len, texts)) / sizes.sum(),
        documents=documents.sum() / sizes.sum(),
    )
    splits = {
        split: _estimate_split(
            shards, ratios, windows, fraction=1.0 if len(together) == 1 else options.splits[split]
        )
        for together, shards in plan.shards.items()
        for split in together
    }
    num_tokens = sum(split.num_tokens for split in splits.values())
    itemsize = vocabulary.dtype.itemsize
    overhead = record_bytes(options.record_tokens * itemsize) / (options.record_tokens * itemsize)
    rate = _bytes_per_second(texts, vocabulary, options.record_tokens)
    return Estimate(
        splits=splits,
        token_error=_relative_error(counts, sizes, ratios.tokens, sizes.sum() / total),
        vocabulary_size=vocabulary.size,
        disk_bytes=round(num_tokens * itemsize * overhead),
        seconds=total * ratios.text_bytes / rate / workers,
        memory_bytes=_PARENT_BYTES + workers * _WORKER_BYTES,
    )


def _vocabulary(options: PrepareOptions, texts: list[bytes]) -> Vocabulary:
    given = given_vocabulary(options)
    if given is not None:
        return given
    if options.bpe_size is not None:
        return train_bpe(texts, options.bpe_size)
    return CharVocabulary(np.unique(np.concatenate([_code_points(text) for text in texts])))


class _Ratios(NamedTuple):
    """How much there is in a byte of the sources, as they lie there."""

    tokens: float
    text_bytes: float
    documents: float


def _estimate_split(
    shards: list[Pieces], ratios: _Ratios, windows: Windows | None, *, fraction: float
) -> SplitEstimate:
    """Estimates a split that gets a fraction of the text of its shards."""
    sizes = [fraction * num_source_bytes(shard) for shard in shards]
    tokens = [
        round(size * ratios.tokens + fraction * sum(_ends_only_document(p) for p in shard))
        for size, shard in zip(sizes, shards, strict=True)
    ]
    alone = [piece for shard in shards for piece in shard if _ends_only_document(piece)]
    return SplitEstimate(
        num_shards=len(shards),
        text_bytes=round(sum(sizes) * ratios.text_bytes),
        num_documents=round(sum(sizes) * ratios.documents + fraction * len(alone)),
        num_tokens=sum(tokens),
        num_windows=int(windows.first_windows(tokens)[-1]) if windows else 0,
    )


def _ends_only_document(piece: Piece) -> bool:
    return piece.source.is_document and piece.ends_document


class _Sample(NamedTuple):
    """Some text; the bytes of its source that it took; the rows or lines that end in it."""

    text: bytes
    source_bytes: int
    num_documents: int


def _sample(pieces: list[Piece], total: int) -> list[_Sample]:
    """Reads blocks at even distances in the text laid end to end; all of it if it is short."""
    distance = max(BLOCK_BYTES, total // _NUM_SAMPLES)
    samples, passed, wanted = [], 0, 0
    for piece in pieces:
        num_bytes = piece.source_bytes
        while wanted < passed + num_bytes:
            if piece.source.is_document and not piece.source.format.compression:
                start = piece.start + wanted - passed
                stop = min(start + BLOCK_BYTES, piece.stop)
                text = b"".join(read_blocks(piece.source.path, start, stop))
                samples.append(_Sample(text, stop - start, 0))
                wanted += distance if stop - start == BLOCK_BYTES else min(distance, stop - start)
            else:  # only its beginning can be read without all that comes before
                samples.append(_sample_beginning(piece))
                wanted = max(wanted + distance, passed + num_bytes)
        passed += num_bytes
    return samples


def _sample_beginning(piece: Piece) -> _Sample:
    texts, num_bytes = [], 0
    for part in read_parts(piece):
        texts.append(part.text)
        num_bytes += part.num_done
        if num_bytes and sum(map(len, texts)) >= _SAMPLE_BYTES:
            break
    num_documents = 0 if piece.source.is_document else len(texts)
    return _Sample(b"".join(texts), max(num_bytes, 1), num_documents)


def _num_characters(block: bytes) -> int:
    return int((np.frombuffer(block, np.uint8) & 0xC0 != 0x80).sum())


def _code_points(block: bytes) -> np.ndarray:
    """The code points of a block that may begin and end inside a character."""
    return CodePoints().decode(_whole(block), final=True)


def _whole(block: bytes) -> bytes:
    """The whole characters of a block."""
    return block.decode("utf-8", "ignore").encode()


def _relative_error(counts: np.ndarray, sizes: np.ndarray, ratio: float, sampled: float) -> float:
    """The 95% interval of a ratio estimate (Cochran, Sampling Techniques, 1977, section 6.3)."""
    if len(counts) < 2 or sampled >= 1:
        return 0.0
    variance = ((counts - ratio * sizes) ** 2).sum() / (len(counts) - 1)
    error = math.sqrt((1 - sampled) * variance / len(counts)) / sizes.mean()
    return 1.96 * error / ratio


def _bytes_per_second(blocks: list[bytes], vocabulary: Vocabulary, record_tokens: int) -> float:
    """How fast this machine encodes and frames the sample, on one core."""
    writer = RecordWriter(
        io.BytesIO(), record_tokens=record_tokens, itemsize=vocabulary.dtype.itemsize
    )
    # Whole characters only, and twice: the first time fills tables.
    texts = [_whole(block) for block in blocks]
    if vocabulary.kind == ByteVocabulary.kind:
        texts = blocks
    seconds = math.inf
    for _ in range(2):
        started = time.perf_counter()
        for text in texts:
            writer.write(vocabulary.encode(text))
        seconds = min(seconds, time.perf_counter() - started)
    return sum(map(len, texts)) / max(seconds, 1e-9)
