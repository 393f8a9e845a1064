"""Which text was in a batch: step -> windows -> bytes of the sources. Without TensorFlow."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.corpus import Corpus
from pipeline.errors import OptionError
from pipeline.geometry import SHUFFLE_BYTES, checked_windows
from pipeline.manifest import Shard
from pipeline.records import read_payload
from pipeline.vocabulary import ByteVocabulary

_CHUNK_TOKENS = 2**20


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Consecutive bytes of a source's text: `start … stop - 1`.

    Attributes:
        source: its name.
        start: the first byte.
        stop: the byte after the last.
        document: of a source with many documents, which of them the bytes are of, for people;
            exact to the row where the corpus has one split, else to the document of the piece,
            counted from 0.
    """

    source: str
    start: int
    stop: int
    document: str = ""


@dataclass(frozen=True, kw_only=True)
class TracedWindow:
    """One row of a batch.

    Attributes:
        row: index in the global batch.
        position: in the endless training order.
        epoch: which one, from 0.
        window: its number in the split.
        shard: the file that holds it.
        first_token: index in the shard of its first token.
        text: what it says; `seq_len + 1` tokens.
        passages: where that stands in the sources; several where documents meet.
    """

    row: int
    position: int
    epoch: int
    window: int
    shard: str
    first_token: int
    text: str
    passages: tuple[Passage, ...]


def trace(
    corpus: Corpus,
    split: str,
    *,
    step: int,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int | None = 0,
    rows: Sequence[int] | None = None,
    shuffle_bytes: int = SHUFFLE_BYTES,
) -> list[TracedWindow]:
    """Returns the windows of the batch of a step; the arguments are those of `Corpus.windows`.

    Reads only the shards that hold them: for bytes just the windows, else the shards up to them.

    Args:
        corpus: the corpus.
        split: its name.
        step: the batch, from 0.
        seq_len: tokens of an input.
        batch_size: rows of the global batch.
        stride: tokens between the starts of two windows; `None` means `seq_len`.
        seed: of the shuffle; `None` for the order of the text.
        rows: which rows of the batch; `None` for all.
        shuffle_bytes: memory of the shuffle, in bytes.

    Raises:
        UserError: the split has no window, a shard is damaged, or an argument is out of range.
    """
    windows = checked_windows(seq_len, stride)
    if step < 0:
        raise OptionError(f"`step` must be at least 0, not {step}")
    if batch_size < 1:
        raise OptionError(f"`batch_size` must be at least 1, not {batch_size}")
    rows = range(batch_size) if rows is None else rows
    for row in rows:
        if not 0 <= row < batch_size:
            raise OptionError(f"`row` must be in 0 … `batch_size` - 1: {row} of {batch_size}")
    order = corpus.order(split, windows, seed=seed, shuffle_bytes=shuffle_bytes)
    shards = corpus.splits[split].shards
    counts = [windows.num_windows(shard.num_tokens) for shard in shards]
    first_windows = [0, *itertools.accumulate(counts)]
    positions = [step * batch_size + row for row in rows]
    traced = []
    for row, position, window in zip(rows, positions, order.windows(positions), strict=True):
        index = bisect.bisect_right(first_windows, window) - 1
        first_token = int(window - first_windows[index]) * windows.stride
        tokens = _read_tokens(corpus, shards[index], first_token, first_token + windows.num_tokens)
        traced.append(
            TracedWindow(
                row=row,
                position=position,
                epoch=position // order.num_windows,
                window=int(window),
                shard=shards[index].file,
                first_token=first_token,
                text=corpus.vocabulary.decode(tokens),
                passages=_passages(corpus, shards[index], first_token, tokens),
            )
        )
    return traced


def _read_tokens(corpus: Corpus, shard: Shard, start: int, stop: int) -> np.ndarray:
    """Returns the tokens `start … stop - 1` of a shard."""
    record_tokens = corpus.manifest.record_tokens
    itemsize = corpus.vocabulary.dtype.itemsize
    payload = read_payload(
        f"{corpus.directory}/{shard.file}",
        first_record=start // record_tokens,
        last_record=(stop - 1) // record_tokens,
        full_payload_bytes=record_tokens * itemsize,
    )
    first = start // record_tokens * record_tokens
    return np.frombuffer(payload, corpus.vocabulary.dtype)[start - first : stop - first]


def _passages(
    corpus: Corpus, shard: Shard, first_token: int, tokens: np.ndarray
) -> tuple[Passage, ...]:
    """Where the tokens stand in the sources."""
    if all(corpus.manifest.sources[index].is_plain for index, _, _, _ in shard.pieces):
        return _plain_passages(corpus, shard, first_token, tokens)
    return _document_passages(corpus, shard, first_token, tokens)


def _plain_passages(
    corpus: Corpus, shard: Shard, first_token: int, tokens: np.ndarray
) -> tuple[Passage, ...]:
    """Of a shard whose pieces are bytes of files.

    The text of the shard, with its separators, is one stream of bytes; the manifest says where
    each piece begins in it, and the length of the text before a token says where the token is.
    """
    vocabulary, sources = corpus.vocabulary, corpus.manifest.sources
    separator_bytes = len(vocabulary.decode_bytes([vocabulary.separator_id]))
    start = first_token
    if not isinstance(vocabulary, ByteVocabulary):
        start = sum(
            len(vocabulary.decode_bytes(before)) for before in _chunks(corpus, shard, first_token)
        )
    stop = start + len(vocabulary.decode_bytes(tokens))
    passages = []
    piece_start = 0
    for index, first, last, num_documents in shard.pieces:
        begin = max(first, first + start - piece_start)
        end = min(last, first + stop - piece_start)
        if begin < end:
            passages.append(Passage(source=sources[index].name, start=begin, stop=end))
        piece_start += last - first + separator_bytes * num_documents
        if piece_start >= stop:
            break
    return tuple(passages)


def _document_passages(
    corpus: Corpus, shard: Shard, first_token: int, tokens: np.ndarray
) -> tuple[Passage, ...]:
    """Of a shard with rows, lines or compressed text: separators say which document it is."""
    vocabulary = corpus.vocabulary
    document = num_bytes = 0  # documents before the window, bytes of the one it begins in
    for before in _chunks(corpus, shard, first_token):
        ends = np.flatnonzero(before == vocabulary.separator_id)
        document += len(ends)
        if len(ends):
            before, num_bytes = before[ends[-1] + 1 :], 0
        num_bytes += len(vocabulary.decode_bytes(before))
    passages = []
    ends = np.flatnonzero(tokens == vocabulary.separator_id)
    for part in np.split(tokens, ends + 1):
        stop = num_bytes + len(vocabulary.decode_bytes(part[part != vocabulary.separator_id]))
        if stop > num_bytes:
            passages.append(_document_passage(corpus, shard, document, num_bytes, stop))
        document, num_bytes = document + 1, 0
    return tuple(passages)


def _document_passage(
    corpus: Corpus, shard: Shard, document: int, start: int, stop: int
) -> Passage:
    """Bytes of the text of a shard's document, by its number in the shard."""
    sources = corpus.manifest.sources
    pieces = iter(shard.pieces)
    index, first, last, num_documents = next(pieces)
    while document >= num_documents and not (document == 0 and sources[index].is_document):
        document -= num_documents
        index, first, last, num_documents = next(pieces)
    source = sources[index]
    if source.is_document:
        begin = first if source.is_plain else 0
        return Passage(source=source.name, start=begin + start, stop=begin + stop)
    unit = "bytes" if source.length == source.num_bytes else "rows"
    if len(corpus.splits) == 1 and unit == "rows":
        where = f"row {first + document}"
    else:
        split = "" if len(corpus.splits) == 1 else " that are in this split"
        where = f"document {document} of those from {unit} {first}-{last - 1}{split}"
    return Passage(source=source.name, start=start, stop=stop, document=where)


def _chunks(corpus: Corpus, shard: Shard, stop: int) -> Iterator[np.ndarray]:
    """Yields the first `stop` tokens of a shard, some at a time."""
    for first, last in itertools.pairwise([*range(0, stop, _CHUNK_TOKENS), stop]):
        yield _read_tokens(corpus, shard, first, last)


def describe(window: TracedWindow) -> str:
    """Returns a traced window for people: where it is from, then its text."""
    places = "; ".join(
        f"{p.source} {p.document + ', ' if p.document else ''}bytes {p.start}-{p.stop - 1}"
        for p in window.passages
    )
    return (
        f"row {window.row} (epoch {window.epoch}, window {window.window}, {window.shard} token"
        f" {window.first_token})\n  {places}\n  {window.text!r}"
    )
