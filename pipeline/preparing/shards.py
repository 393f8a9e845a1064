"""Shard task -> files: what a worker does. Idempotent and atomic; no TensorFlow but for TFDS."""

import contextlib
import dataclasses
import os
from typing import BinaryIO, cast

import numpy as np

from pipeline.errors import UserError
from pipeline.layout.records import RecordWriter
from pipeline.preparing import journal
from pipeline.preparing.engines import Advance
from pipeline.preparing.journal import WrittenShard
from pipeline.preparing.plan import Piece, ShardTask, SplitOf
from pipeline.text.documents import Part, batches, errors_name, read_parts
from pipeline.text.sources import Source

_CHECK_DISTANCE = 16 * 2**20  # bytes of text from one check of the encoding to the next


def write_shard(task: ShardTask, advance: Advance) -> dict[str, WrittenShard]:
    """Encodes the pieces of a task into one file for each of its splits.

    A separator ends each document. A document in a source of many goes to the split that the
    hash of its content says: equal documents are never in two. The files appear whole, each by
    a rename, or not at all. Where the journal says that all are finished, and their digests are
    right, they are kept: to run a task twice costs reading its files.

    Returns:
        Split -> what its file holds.

    Raises:
        UserError: text that is not UTF-8 (file and offset), a character that the vocabulary
            lacks, a row without a text, a source that is damaged or changed since the plan.
        OSError: a file cannot be written.
    """
    kept = {split: journal.finished(path) for split, path in task.paths.items()}
    if None not in kept.values():
        advance(task.num_bytes)
        return cast(dict[str, WrittenShard], kept)
    temporaries = {split: journal.temporary_path(path) for split, path in task.paths.items()}
    try:
        with contextlib.ExitStack() as files:
            shards = {
                split: _Shard(files.enter_context(open(path, "wb", buffering=2**20)), task)
                for split, path in temporaries.items()
            }
            split_of = SplitOf(task.fractions)
            for piece in task.pieces:
                for split, shard in shards.items():
                    if piece.split in (None, split):
                        shard.begin_piece()
                if piece.split is None:
                    _write_documents(piece, shards, split_of, advance)
                else:
                    shards[piece.split].write_piece(piece, advance)
            written = {split: shard.finish() for split, shard in shards.items()}
        for split, path in task.paths.items():
            os.replace(temporaries[split], path)
    except BaseException:
        for path in temporaries.values():
            if os.path.exists(path):
                os.unlink(path)
        raise
    for split, path in task.paths.items():
        journal.record(path, written[split])
    return written


class _Shard:
    """One file that is being written."""

    def __init__(self, file: BinaryIO, task: ShardTask):
        self._file = file
        self._vocabulary = task.vocabulary
        dtype = task.vocabulary.dtype
        self._separator = np.array([task.vocabulary.separator_id], dtype)
        self._writer = RecordWriter(file, record_tokens=task.record_tokens, itemsize=dtype.itemsize)
        self._num_text_bytes = self._next_check = 0
        self._documents: list[int] = []

    def begin_piece(self) -> None:
        """Counts documents anew."""
        self._documents.append(0)

    def write_piece(self, piece: Piece, advance: Advance) -> None:
        """Writes a document, or a part of one, block by block."""
        encoder = self._vocabulary.encoder()
        for part in read_parts(piece):
            with errors_name(piece.source, part.position):
                self._check(part.text)
                self._writer.write(encoder.encode(part.text, final=part.final))
            self._num_text_bytes += len(part.text)
            advance(part.num_done)
        if piece.ends_document:
            self._writer.write(self._separator)
            self._documents[-1] += 1

    def write_documents(self, source: Source, documents: list[Part]) -> None:
        """Writes whole documents."""
        try:
            self._check(documents[0].text)
            for ids in self._vocabulary.encode_documents([part.text for part in documents]):
                self._writer.write(ids)
        except (UnicodeDecodeError, UserError):
            for part in documents:  # which one?
                with errors_name(source, part.position):
                    self._vocabulary.encoder().encode(part.text, final=True)
            raise
        self._num_text_bytes += sum(len(part.text) for part in documents)
        self._documents[-1] += len(documents)

    def _check(self, text: bytes) -> None:
        if self._num_text_bytes >= self._next_check:
            self._vocabulary.check(text)
            self._next_check = self._num_text_bytes + _CHECK_DISTANCE

    def finish(self) -> WrittenShard:
        """Ends the file, which is on disk then."""
        written = self._writer.finish()
        self._file.flush()
        os.fsync(self._file.fileno())
        return WrittenShard(
            **dataclasses.asdict(written),
            num_text_bytes=self._num_text_bytes,
            documents=tuple(self._documents),
        )


def _write_documents(
    piece: Piece, shards: dict[str, _Shard], split_of: SplitOf, advance: Advance
) -> None:
    only = next(iter(shards)) if len(shards) == 1 else None
    for batch in batches(piece):
        if only is not None:
            shards[only].write_documents(piece.source, batch)
        else:
            parts: dict[str, list[Part]] = {split: [] for split in shards}
            for part in batch:
                parts[split_of(part.text)].append(part)
            for split, documents in parts.items():
                if documents:
                    shards[split].write_documents(piece.source, documents)
        advance(sum(part.num_done for part in batch))
