"""Plan of a corpus: sources and options -> where the text is cut.

The cuts follow from the sources and the options alone, never from the number of workers, so the
same input and options give the same bytes in every file.

1. Where every source is a document, each goes to a split by the hash of what it is. Where that
   cannot come near the fractions asked for (few documents, or one that outweighs the rest), the
   sources, laid end to end, are cut into contiguous ranges instead.
2. Each split's text, laid end to end, is cut into equal shards of about `shard_bytes`: at the
   end of a document, or inside one that is larger than a shard.
3. Where any source holds many documents (rows, lines), their content decides on their split,
   and only who reads them knows it: all sources, laid end to end, are cut as above, and each
   task writes one shard for every split, perhaps an empty one. So two equal documents are
   never in two splits. Sources that are documents still go as above.

A cut inside a document moves on to the next newline or UTF-8 boundary, a cut in many documents
to the end of one (`Format.cut`). Compressed files are not cut, and count as compressed.
"""

import bisect
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import UserError
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.splits import SplitOf
from pipeline.text.pieces import Piece, Source

SEARCH_BYTES = 64 * 1024  # how far a cut may move to meet a newline

Pieces = tuple[Piece, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """Every shard of a corpus.

    Attributes:
        shards: splits that are written together -> the pieces of each of their shards. Each
            split stands alone where every source is a document, else all together: one shard
            of each is written from the same pieces.
    """

    shards: dict[tuple[str, ...], list[Pieces]]

    def __iter__(self) -> Iterator[Pieces]:
        """Yields the pieces of every shard, or of shards that are written together."""
        for shards in self.shards.values():
            yield from shards

    @property
    def source_bytes(self) -> int:
        """The bytes of the sources."""
        return sum(map(num_source_bytes, self))


def make_plan(sources: Sequence[Source], options: PrepareOptions) -> Plan:
    """Plans every shard.

    Args:
        sources: in order, each with text.
        options: how the corpus is to be.

    Raises:
        UserError: a split gets no text at all.
    """
    shard_bytes = _shard_bytes(sources, options)
    together = written_together(options.splits, [source.is_document for source in sources])
    documents = [source for source in sources if source.is_document]
    splits = iter(SplitOf(options.splits).documents(documents))
    whole = [_whole(source, next(splits) if source.is_document else None) for source in sources]
    if len(together) == 1:
        return Plan(shards={together[0]: _shards_of(whole, shard_bytes)})
    lines = _split_by_document(whole, options.splits)
    if lines is None:
        lines = _split_by_range(sources, options.splits)
    for split, line in lines.items():
        if not line:
            raise UserError(
                f"`splits`: {split}={options.splits[split]:g} of "
                f"{sum(source.source_bytes for source in sources)} bytes is no text at all; "
                "give more text, or `--splits train=1`" + _of_compressed(sources)
            )
    return Plan(shards={(split,): _shards_of(lines[split], shard_bytes) for (split,) in together})


def written_together(splits: Iterable[str], are_documents: Iterable[bool]) -> list[tuple[str, ...]]:
    """Returns the splits by whose shards are written from the same pieces.

    Args:
        splits: their names.
        are_documents: of every source, whether it is one document.
    """
    return [(split,) for split in splits] if all(are_documents) else [tuple(splits)]


def num_source_bytes(pieces: Sequence[Piece]) -> int:
    """Returns the bytes of the sources in some pieces."""
    return sum(piece.source_bytes for piece in pieces)


def _of_compressed(sources: Sequence[Source]) -> str:
    if not any(source.format.compression for source in sources):
        return ""
    return (
        ". A compressed file is not cut: decompress it, or pipe it "
        "(`zcat FILE | textreel prepare - …`)"
    )


def _whole(source: Source, split: str | None) -> Piece:
    return Piece(source=source, start=0, stop=source.length, split=split)


def _split_by_document(
    whole: list[Piece], splits: dict[str, float]
) -> dict[str, list[Piece]] | None:
    """Each document to its split, or `None` where a share would be off by a factor of 2."""
    lines = {split: [piece for piece in whole if piece.split == split] for split in splits}
    total = num_source_bytes(whole)
    for split, fraction in splits.items():
        if not fraction / 2 <= num_source_bytes(lines[split]) / total <= fraction * 2:
            return None
    return lines


def _split_by_range(sources: Sequence[Source], splits: dict[str, float]) -> dict[str, list[Piece]]:
    line = [_whole(source, None) for source in sources]
    total = num_source_bytes(line)
    bounds = [round(total * fraction) for fraction in itertools.accumulate(splits.values())][:-1]
    # Half of the smallest range: a cut that moves on to a newline must not swallow a split.
    search_bytes = min(SEARCH_BYTES, int(total * min(splits.values()) / 2))

    def cut(piece: Piece, offset: int) -> int:
        return piece.source.cut(offset, search_bytes)

    return {
        split: [dataclasses.replace(piece, split=split) for piece in pieces]
        for split, pieces in zip(splits, _cut_line(line, bounds, cut), strict=True)
    }


def _shard_bytes(sources: Sequence[Source], options: PrepareOptions) -> int:
    if options.shard_bytes is not None:
        return options.shard_bytes
    total = sum(source.source_bytes for source in sources)
    return min(max(-(-total // 16), 4 * 2**20), 64 * 2**20)


def _shards_of(line: list[Piece], shard_bytes: int) -> list[Pieces]:
    total = num_source_bytes(line)
    num_shards = -(-total // shard_bytes)
    bounds = [total * index // num_shards for index in range(1, num_shards)]
    search_bytes = min(SEARCH_BYTES, total // num_shards // 2)

    def cut(piece: Piece, offset: int) -> int:
        if piece.source.is_document and piece.source_bytes <= shard_bytes:
            return piece.stop  # a document that fits into a shard stays whole
        return piece.source.cut(offset, search_bytes)

    return [tuple(pieces) for pieces in _cut_line(line, bounds, cut) if pieces]


def _cut_line(
    line: list[Piece], bounds: list[int], cut: Callable[[Piece, int], int]
) -> list[list[Piece]]:
    """Cuts pieces laid end to end into `len(bounds) + 1` parts, some perhaps empty.

    Args:
        line: the pieces.
        bounds: where to cut, ascending, as positions in the line.
        cut: a piece and the wanted offset in its source -> the offset to cut at.
    """
    piece_starts = [0, *itertools.accumulate(piece.source_bytes for piece in line)]
    cuts = [(0, 0)]  # as (index of the piece, offset in its source)
    for bound in bounds:
        index = bisect.bisect_right(piece_starts, bound) - 1
        if index >= len(line):
            cuts.append((len(line), 0))
            continue
        piece = line[index]
        source = piece.source
        offset = piece.start + (bound - piece_starts[index]) * source.length // source.source_bytes
        if (index, offset) < cuts[-1]:
            cuts.append(cuts[-1])  # what the last cut went through holds no other
            continue
        if offset > piece.start:
            offset = min(cut(piece, offset), piece.stop)
        at_end = offset == piece.stop
        cuts.append((index + 1, 0) if at_end else (index, offset))
    cuts.append((len(line), 0))
    return [
        [part for part in _between(line, start, stop) if part.start < part.stop]
        for start, stop in itertools.pairwise(cuts)
    ]


def _between(line: list[Piece], start: tuple[int, int], stop: tuple[int, int]) -> list[Piece]:
    parts = []
    for index in range(start[0], min(stop[0] + 1, len(line))):
        piece = line[index]
        first = max(piece.start, start[1]) if index == start[0] else piece.start
        last = max(piece.start, stop[1]) if index == stop[0] else piece.stop
        parts.append(dataclasses.replace(piece, start=first, stop=last))
    return parts
