"""What preparing and training on some text will take, before anyone pays: from a sample."""

import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.geometry import Windows
from pipeline.plan import Piece, PrepareOptions, plan_pieces
from pipeline.records import RecordWriter, record_bytes
from pipeline.sources import BLOCK_BYTES, Source, find_cut, read_blocks
from pipeline.vocabulary import ByteVocabulary, CharVocabulary, CodePoints, Vocabulary

_NUM_SAMPLES = 64
_WORKER_BYTES, _PARENT_BYTES = 50 * 10**6, 65 * 10**6  # measured, see WORKSPACE_NOTES.md


@dataclass(frozen=True, kw_only=True)
class SplitEstimate:
    """What a split will hold. Without a `Windows`, `num_windows` is 0."""

    num_shards: int
    num_text_bytes: int
    num_documents: int
    num_tokens: int
    num_windows: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a corpus will be.

    Attributes:
        splits: name -> what it will hold.
        token_error: half the width of the 95% interval of all `num_tokens`, as a fraction.
        vocabulary_size: ids; of characters, those in the sample, hence at least.
        num_disk_bytes: of all shards.
        seconds: to prepare, all workers together; disks may be slower.
        memory_bytes: of all processes.
    """

    splits: dict[str, SplitEstimate]
    token_error: float
    vocabulary_size: int
    num_disk_bytes: int
    seconds: float
    memory_bytes: int


def estimate(
    sources: Sequence[Source],
    options: PrepareOptions,
    *,
    workers: int,
    windows: Windows | None = None,
) -> Estimate:
    """Estimates a corpus from its plan and from 64 blocks spread evenly over the text.

    Args:
        sources: the documents.
        options: how the corpus is to be.
        workers: processes that would prepare it.
        windows: which windows to count.

    Raises:
        UserError: a split would get no text, or the sample is not UTF-8 where it must be.
    """
    planned = plan_pieces(sources, options, find_cut=find_cut)
    pieces = [piece for shards in planned.values() for shard in shards for piece in shard]
    total = sum(piece.stop - piece.start for piece in pieces)
    blocks = _sample(pieces, total)
    vocabulary: Vocabulary = ByteVocabulary()
    counts = np.array([len(block) for block in blocks], np.float64)
    if options.vocabulary == CharVocabulary.kind:
        # A character has one byte that does not continue another.
        counts = np.array([_num_characters(block) for block in blocks], np.float64)
        vocabulary = CharVocabulary(
            np.unique(np.concatenate([_code_points(block) for block in blocks]))
        )
    sizes = np.array([len(block) for block in blocks], np.float64)
    ratio = counts.sum() / sizes.sum()
    splits = {split: _estimate_split(shards, ratio, windows) for split, shards in planned.items()}
    num_tokens = sum(split.num_tokens for split in splits.values())
    itemsize = vocabulary.dtype.itemsize
    overhead = record_bytes(options.record_tokens * itemsize) / (options.record_tokens * itemsize)
    rate = _bytes_per_second(blocks, vocabulary, options.record_tokens)
    return Estimate(
        splits=splits,
        token_error=_relative_error(counts, sizes, ratio, sizes.sum() / total),
        vocabulary_size=vocabulary.size,
        num_disk_bytes=round(num_tokens * itemsize * overhead),
        seconds=total / rate / workers,
        memory_bytes=_PARENT_BYTES + workers * _WORKER_BYTES,
    )


def _estimate_split(
    shards: list[tuple[Piece, ...]], ratio: float, windows: Windows | None
) -> SplitEstimate:
    tokens = [
        round(sum(piece.stop - piece.start for piece in shard) * ratio)
        + sum(piece.ends_document for piece in shard)
        for shard in shards
    ]
    pieces = [piece for shard in shards for piece in shard]
    return SplitEstimate(
        num_shards=len(shards),
        num_text_bytes=sum(piece.stop - piece.start for piece in pieces),
        num_documents=len({piece.source.name for piece in pieces}),
        num_tokens=sum(tokens),
        num_windows=sum(map(windows.num_windows, tokens)) if windows else 0,
    )


def _sample(pieces: list[Piece], total: int) -> list[bytes]:
    """Reads blocks at even distances in the text laid end to end; all of it if it is short."""
    distance = max(BLOCK_BYTES, total // _NUM_SAMPLES)
    blocks, passed, wanted = [], 0, 0
    for piece in pieces:
        num_bytes = piece.stop - piece.start
        while wanted < passed + num_bytes:
            start = piece.start + wanted - passed
            stop = min(start + BLOCK_BYTES, piece.stop)
            blocks.append(b"".join(read_blocks(piece.source.path, start, stop)))
            wanted += distance if stop - start == BLOCK_BYTES else min(distance, stop - start)
        passed += num_bytes
    return blocks


def _num_characters(block: bytes) -> int:
    return int((np.frombuffer(block, np.uint8) & 0xC0 != 0x80).sum())


def _code_points(block: bytes) -> np.ndarray:
    """The code points of a block that may begin and end inside a character."""
    return CodePoints().decode(block.decode("utf-8", "ignore").encode(), final=True)


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
    texts = [block.decode("utf-8", "ignore").encode() for block in blocks]
    if vocabulary.kind == ByteVocabulary.kind:
        texts = blocks
    encoder = vocabulary.encoder()
    seconds = math.inf
    for _ in range(2):
        started = time.perf_counter()
        for text in texts:
            writer.write(encoder.encode(text))
        seconds = min(seconds, time.perf_counter() - started)
    return sum(map(len, texts)) / max(seconds, 1e-9)
