"""Shards that a worker writes: task -> files. Idempotent and atomic; no TensorFlow but for TFDS."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from pipeline.errors import UserError
from pipeline.files import AnyPath, is_in_store, join, whole_file
from pipeline.layout.names import shard_file_name
from pipeline.layout.records import RecordWriter
from pipeline.memory import give_back_memory
from pipeline.preparing import journal
from pipeline.preparing.engines import Advance
from pipeline.preparing.journal import WrittenShard
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.plan import Pieces, Plan, num_source_bytes
from pipeline.preparing.splits import MIN_RANGE_BYTES, RangeCutter, SplitOf
from pipeline.text.bad_rows import Skipped
from pipeline.text.documents import errors_name, read_documents, read_parts
from pipeline.text.pieces import Documents, Part, Piece, Source
from pipeline.text.sources import check_unchanged
from pipeline.vocabulary.base import Encoder, Vocabulary

_CHECK_DISTANCE = 16 * 2**20  # bytes of text from one check of the encoding to the next


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardTask:
    """All that a worker needs to write one shard, or one for every split, but the vocabulary.

    Attributes:
        paths: split -> the file to write.
        pieces: what they hold, in order.
        fractions: split -> its part of the documents whose content decides.
        record_tokens: tokens of a full record.
    """

    paths: dict[str, str]
    pieces: Pieces
    fractions: dict[str, float]
    record_tokens: int

    @property
    def source_bytes(self) -> int:
        """The bytes of the sources to read."""
        return num_source_bytes(self.pieces)

    def pieces_of(self, split: str) -> Pieces:
        """Returns the pieces that may have text in a split."""
        return tuple(piece for piece in self.pieces if piece.may_hold(split))


def make_tasks(plan: Plan, options: PrepareOptions, directory: AnyPath) -> list[ShardTask]:
    """Makes the task of every shard of a plan, to be written to a directory."""
    return [
        ShardTask(
            paths={
                split: join(directory, shard_file_name(options.name, split, index, len(shards)))
                for split in splits
            },
            pieces=pieces,
            fractions=options.splits,
            record_tokens=options.record_tokens,
        )
        for splits, shards in plan.shards.items()
        for index, pieces in enumerate(shards)
    ]


def write_shard(
    task: ShardTask, advance: Advance, *, vocabulary: Vocabulary
) -> dict[str, WrittenShard]:
    """Encodes the pieces of a task into one file for each of its splits.

    A separator ends each document, and each range of a document that is cut among splits. A
    document in a source of many goes to the split that the hash of its content says: equal
    documents are never in two. The files appear whole, each by a rename, or not at all. Where the
    journal says that all are finished, and their digests are right, they are kept: to run a task
    twice costs reading its files.

    Args:
        task: what to write. Equal tasks and vocabularies write equal bytes.
        advance: is told how many bytes of the sources are done.
        vocabulary: text -> ids. It is no part of a task, for it may have 30 MB: a worker gets it
            once, with the function.

    Returns:
        Split -> what its file holds.

    Raises:
        UserError: text that is not UTF-8 (file and offset), a character that the vocabulary
            lacks, a bad row that is not to be skipped, a source that is damaged or changed since
            the plan.
        OSError: a file cannot be written.
    """
    kept = {split: journal.finished(path) for split, path in task.paths.items()}
    if None not in kept.values():
        advance(task.source_bytes)
        return cast(dict[str, WrittenShard], kept)
    is_uploaded = any(map(is_in_store, task.paths.values()))
    with contextlib.ExitStack() as files:
        if is_uploaded:
            files.callback(give_back_memory)  # what the uploads took
        shards = {
            split: _Shard(
                files.enter_context(
                    whole_file(path, temporary=journal.temporary_path(path), once=True)
                ),
                vocabulary,
                task.record_tokens,
            )
            for split, path in task.paths.items()
        }
        skipped: dict[str, Skipped] = {}
        split_of, cutter = SplitOf(task.fractions), RangeCutter(task.fractions)
        for piece in task.pieces:
            for split, shard in shards.items():
                if piece.may_hold(split):
                    shard.begin_piece()
            if piece.split is not None:
                shards[piece.split].write_piece(piece, advance)
            elif piece.source.is_document:
                if piece.source_bytes * min(task.fractions.values()) >= MIN_RANGE_BYTES:
                    cutter = RangeCutter(task.fractions)  # else a short one goes on in its ranges
                _write_ranges(piece, shards, cutter, advance)
            else:
                bad = _write_documents(piece, shards, split_of, advance)
                if bad.num_rows:
                    skipped.setdefault(piece.source.name, Skipped()).join(bad)
        written = {split: shard.finish(skipped) for split, shard in shards.items()}
        check_unchanged({piece.source.name: piece.source for piece in task.pieces}.values())
        if is_uploaded:
            give_back_memory()  # what encoding took
    for split, path in task.paths.items():
        journal.record(path, written[split])
    return written


class _Shard:
    """One file that is being written."""

    def __init__(self, file: BinaryIO, vocabulary: Vocabulary, record_tokens: int):
        self._vocabulary = vocabulary
        dtype = vocabulary.dtype
        self._separator = np.array([vocabulary.separator_id], dtype)
        self._separator_bytes = len(vocabulary.decode_bytes(self._separator))
        self._writer = RecordWriter(file, record_tokens=record_tokens, itemsize=dtype.itemsize)
        self._num_text_bytes = self._next_check = 0
        self._documents: list[int] = []
        self._encoder: Encoder | None = None  # of the document that is being written

    def begin_piece(self) -> None:
        """Counts documents anew."""
        self._documents.append(0)

    def write_piece(self, piece: Piece, advance: Advance) -> None:
        """Writes a document, a part of one, or token ids, block by block."""
        if piece.source.format.token_bytes:
            for part in read_parts(piece):
                self._write_ids(piece.source, part)
                advance(part.num_done)
            return
        for part in read_parts(piece):
            self.write_block(piece.source, part)
            advance(part.num_done)
        if piece.ends_document:
            self.end_document()

    def write_block(self, source: Source, block: Part) -> None:
        """Writes a block of a document."""
        self._encoder = self._encoder or self._vocabulary.encoder()
        with errors_name(source, block.position):
            self._check(block.text)
            self._writer.write(self._encoder.encode(block.text, final=block.final))
        self._num_text_bytes += len(block.text)
        if block.final:
            self._encoder = None

    def _write_ids(self, source: Source, block: Part) -> None:
        """Writes token ids as they are; separators among them end documents."""
        ids = np.frombuffer(block.text, f"<u{source.format.token_bytes}")
        foreign = np.flatnonzero(ids >= self._vocabulary.size)
        if foreign.size:
            place = source.place_of(block.position + int(foreign[0]))
            raise UserError(
                f"{place}: it is {ids[foreign[0]]:,}, and the `vocabulary` has the ids 0 to "
                f"{self._vocabulary.size - 1:,}; give the one that the file was made with, and as "
                "`--from_bin` the type of its ids"
            )
        self._writer.write(ids.astype(self._separator.dtype))
        num_separators = int(np.count_nonzero(ids == self._separator[0]))
        self._documents[-1] += num_separators
        num_bytes = len(self._vocabulary.decode_bytes(ids))
        self._num_text_bytes += num_bytes - num_separators * self._separator_bytes

    def end_document(self) -> None:
        """Writes the separator."""
        self._writer.write(self._separator)
        self._documents[-1] += 1

    def write_documents(self, source: Source, documents: Documents) -> None:
        """Writes whole documents."""
        texts = documents.texts
        try:
            self._check(texts[0])
            for ids in self._vocabulary.encode_documents(texts):
                self._writer.write(ids)
        except (UnicodeDecodeError, UserError):
            for text, position in zip(texts, documents.positions, strict=True):  # which one?
                with errors_name(source, position):
                    self._vocabulary.encoder().encode(text, final=True)
            raise
        self._num_text_bytes += sum(map(len, texts))
        self._documents[-1] += len(texts)

    def _check(self, text: bytes) -> None:
        if self._num_text_bytes >= self._next_check:
            self._vocabulary.check(text)
            self._next_check = self._num_text_bytes + _CHECK_DISTANCE

    def finish(self, skipped: dict[str, Skipped]) -> WrittenShard:
        """Writes the last record; `skipped` is what it is to say of bad rows."""
        return WrittenShard(
            **dataclasses.asdict(self._writer.finish()),
            num_text_bytes=self._num_text_bytes,
            documents=tuple(self._documents),
            skipped=skipped,
        )


def _write_ranges(
    piece: Piece, shards: dict[str, _Shard], cutter: RangeCutter, advance: Advance
) -> None:
    def blocks() -> Iterator[bytes]:
        for part in read_parts(piece):
            yield part.text
            advance(part.num_done)

    for split, block in cutter.cut(blocks()):
        shards[split].write_block(piece.source, block)
        if block.final:
            shards[split].end_document()


def _write_documents(
    piece: Piece, shards: dict[str, _Shard], split_of: SplitOf, advance: Advance
) -> Skipped:
    skipped = Skipped()
    for documents in read_documents(piece, skipped):
        indices = split_of.indices(documents.texts) if len(shards) > 1 else np.zeros(1)
        for index, shard in enumerate(shards.values()):
            chosen = indices == index
            if chosen.all():
                shard.write_documents(piece.source, documents)
            elif chosen.any():
                shard.write_documents(piece.source, documents.where(chosen.tolist()))
        advance(documents.num_done)
    return skipped
