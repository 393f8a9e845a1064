"""Passages of the sources: shard and token -> bytes of their text. Without TensorFlow."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import numpy as np

from pipeline.files import join
from pipeline.layout.manifest import Shard
from pipeline.layout.records import read_payload
from pipeline.reading.corpus import Corpus
from pipeline.vocabulary.characters import ByteVocabulary

_CHUNK_TOKENS = 2**20
_SEPARATED = " (not exact: the text has U+0000, which ends a document)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Passage:
    """Consecutive bytes of a source's text, or ids of a file of ids: `start … stop - 1`.

    Attributes:
        source: its name.
        start: the first byte, or id.
        stop: what follows the last.
        document: of a source with many documents, which of them the bytes are of, for people;
            exact to the row where the corpus has one split and no row was skipped, else to the
            document of the piece, counted from 0. It says so where a text with U+0000, which is
            the separator, makes the number too high.
        unit: what `start` and `stop` count: `byte`, or `token` of a file of ids.
    """

    source: str
    start: int
    stop: int
    document: str = ""
    unit: str = "byte"


def passage_text(passage: Passage) -> str:
    """Returns where a passage stands, for people."""
    document = f"{passage.document}, " if passage.document else ""
    return f"{passage.source} {document}{passage.unit}s {passage.start}-{passage.stop - 1}"


def read_tokens(corpus: Corpus, shard: Shard, start: int, stop: int) -> np.ndarray:
    """Returns the tokens `start … stop - 1` of a shard."""
    record_tokens = corpus.manifest.record_tokens
    itemsize = corpus.vocabulary.dtype.itemsize
    payload = read_payload(
        join(corpus.directory, shard.file),
        first_record=start // record_tokens,
        last_record=(stop - 1) // record_tokens,
        full_payload_bytes=record_tokens * itemsize,
    )
    first = start // record_tokens * record_tokens
    return np.frombuffer(payload, corpus.vocabulary.dtype)[start - first : stop - first]


def find_passages(
    corpus: Corpus, shard: Shard, first_token: int, tokens: np.ndarray
) -> tuple[Passage, ...]:
    """Where the tokens stand in the sources."""
    sources = corpus.manifest.sources
    if corpus.manifest.options.get("from_bin") is not None:
        return _token_passages(corpus, shard, first_token, len(tokens))
    # A normalised text is not as long as its source, so the length of what is before says little.
    is_exact = not corpus.vocabulary.normalizer
    if is_exact and all(sources[piece.source_index].is_plain for piece in shard.pieces):
        return _plain_passages(corpus, shard, first_token, tokens)
    return _document_passages(corpus, shard, first_token, tokens)


def _token_passages(
    corpus: Corpus, shard: Shard, first_token: int, num_tokens: int
) -> tuple[Passage, ...]:
    """Of a shard whose pieces are ids of files."""
    passages = []
    piece_start = 0
    for piece in shard.pieces:
        begin = max(piece.start, piece.start + first_token - piece_start)
        end = min(piece.stop, piece.start + first_token + num_tokens - piece_start)
        if begin < end:
            name = corpus.manifest.sources[piece.source_index].name
            passages.append(Passage(source=name, start=begin, stop=end, unit="token"))
        piece_start += piece.stop - piece.start
    return tuple(passages)


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
    for piece in shard.pieces:
        begin = max(piece.start, piece.start + start - piece_start)
        end = min(piece.stop, piece.start + stop - piece_start)
        if begin < end:
            name = sources[piece.source_index].name
            passages.append(Passage(source=name, start=begin, stop=end))
        piece_start += piece.stop - piece.start + separator_bytes * piece.num_documents
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
    for piece in shard.pieces:
        source = sources[piece.source_index]
        if document < piece.num_documents or (document == 0 and source.is_document):
            break
        document -= piece.num_documents
    doubt = _SEPARATED if _has_separators_in_text(corpus, shard) else ""
    if source.is_document:
        begin = piece.start if source.is_plain else 0
        if source.is_plain:  # a normalised text may be longer than its source
            start, stop = (min(place, piece.stop - begin) for place in (start, stop))
        return Passage(
            source=source.name, start=begin + start, stop=begin + stop, document=doubt.strip()
        )
    has_skipped = any(sources[each.source_index] == source for each in corpus.manifest.skipped)
    if len(corpus.splits) == 1 and source.unit == "row" and not has_skipped:
        where = f"row {piece.start + document}"
    else:
        split = "" if len(corpus.splits) == 1 else " that are in this split"
        stretch = f"{source.unit}s {piece.start}-{piece.stop - 1}"
        besides = ", bad rows not counted" if has_skipped else ""
        where = f"document {document} of those from {stretch}{split}{besides}"
    return Passage(source=source.name, start=start, stop=stop, document=where + doubt)


@functools.lru_cache(maxsize=1024)
def _has_separators_in_text(corpus: Corpus, shard: Shard) -> bool:
    """Whether a shard has more separators than documents that end in it."""
    num_separators = sum(
        int(np.count_nonzero(tokens == corpus.vocabulary.separator_id))
        for tokens in _chunks(corpus, shard, shard.num_tokens)
    )
    return num_separators > shard.num_documents


def _chunks(corpus: Corpus, shard: Shard, stop: int) -> Iterator[np.ndarray]:
    """Yields the first `stop` tokens of a shard, some at a time."""
    for first, last in itertools.pairwise([*range(0, stop, _CHUNK_TOKENS), stop]):
        yield read_tokens(corpus, shard, first, last)
