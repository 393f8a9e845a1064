"""Plan of a corpus: sources and options -> where the text is cut.

The cuts follow from the sources and the options alone, never from the number of workers, so the
same input and options give the same bytes in every file.

1. A source that is a document goes to a split by the hash of what it is (`SplitOf`). One that
   outweighs the smallest split is cut into ranges instead, in periods: the last part of each
   period is validation, the parts before it are the other splits. Where few documents miss the
   fractions nevertheless, all are cut so.
2. A source of many documents (rows, lines) goes to all splits, by the content of each document,
   and a compressed document that is to be cut by where its text stands (`RangeCutter`): only who
   reads them knows that.
3. A source whose format says its split, as files of token ids do, goes there whole.
4. Each split's text, laid end to end, is cut into equal shards of about `shard_bytes`: at the
   end of a document, or inside one that is larger than a shard. Where any source goes to all
   splits, all of them are laid end to end and cut as one, and each task writes one shard for
   every split, perhaps an empty one.

A cut inside a document moves on to the next newline or UTF-8 boundary, a cut in many documents
to the end of one (`Format.cut`). Compressed files are not cut, and count as compressed.
"""

import bisect
import concurrent.futures
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import UserError
from pipeline.files import is_in_store
from pipeline.preparing.options import PrepareOptions
from pipeline.preparing.splits import MIN_RANGE_BYTES, SEARCH_BYTES, SplitOf, range_ends
from pipeline.text.pieces import Piece, Source

_MAX_PERIODS = 8  # of a source: each has a cut for every split, at which text is told apart
_RANGE_BYTES = 64 * 1024  # of the smallest range where there are several periods
_REQUESTS = 16  # to a store, under way at once

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
        UserError: the largest split gets no text at all. A smaller one gets an empty shard then.
    """
    pieces = _split(sources, options.splits)
    shard_bytes = _shard_bytes(sources, options)
    together = written_together(options.splits, [piece.split is not None for piece in pieces])
    if len(together) == 1:
        return Plan(shards={together[0]: _shards_of(pieces, shard_bytes)})
    lines = {split: [piece for piece in pieces if piece.split == split] for split in options.splits}
    for split, line in lines.items():
        if not line and is_largest(options.splits, split):
            raise UserError(
                f"`splits`: {split}={options.splits[split]:g} of "
                f"{sum(source.source_bytes for source in sources)} bytes is no text at all; "
                "give more text, or `--splits train=1`"
            )
    return Plan(shards={(split,): _shards_of(lines[split], shard_bytes) for (split,) in together})


def given_splits(sources: Sequence[Source]) -> dict[str, int]:
    """Returns the splits that the formats of the sources say -> the bytes of their sources.

    The largest split comes first.
    """
    num_bytes: dict[str, int] = {}
    for source in sources:
        split = source.format.given_split
        num_bytes[split] = num_bytes.get(split, 0) + source.source_bytes
    return dict(sorted(num_bytes.items(), key=lambda item: -item[1]))


def is_largest(fractions: dict[str, float], split: str) -> bool:
    """Whether no other split is larger. Only such a one must have text."""
    return fractions[split] == max(fractions.values())


def written_together(splits: Iterable[str], have_split: Iterable[bool]) -> list[tuple[str, ...]]:
    """Returns the splits by whose shards are written from the same pieces.

    Args:
        splits: their names.
        have_split: of every piece or source, whether its text is of a split that is known.
    """
    return [(split,) for split in splits] if all(have_split) else [tuple(splits)]


def num_source_bytes(pieces: Sequence[Piece]) -> int:
    """Returns the bytes of the sources in some pieces."""
    return sum(piece.source_bytes for piece in pieces)


def _split(sources: Sequence[Source], fractions: dict[str, float]) -> list[Piece]:
    """Returns the pieces of all sources, in order, each with its split where that is known."""
    total = sum(source.source_bytes for source in sources)
    pieces: list[Piece] = []
    for most_bytes in (int(total * min(fractions.values())), 0):
        pieces = _split_documents(sources, fractions, most_bytes)
        if _is_near(pieces, fractions):
            break
    return pieces


def _split_documents(
    sources: Sequence[Source], fractions: dict[str, float], most_bytes: int
) -> list[Piece]:
    """The same, where documents of more bytes are cut and the others stay whole."""
    whole, ranges, others = [], [], []
    given = [source for source in sources if source.format.given_split]
    for source in sources:
        if source.format.given_split:
            continue
        if source.is_document and (source.source_bytes <= most_bytes or len(fractions) == 1):
            whole.append(source)
        elif source.is_document and not source.format.compression:
            ranges.append(source)
        else:
            others.append(source)
    pieces = [_whole(source, None) for source in others] + _cut_ranges(ranges, fractions)
    pieces += [_whole(source, source.format.given_split) for source in given]
    splits = SplitOf(fractions).documents(whole)
    pieces += [_whole(source, split) for source, split in zip(whole, splits, strict=True)]
    index_of = {source.name: index for index, source in enumerate(sources)}
    return sorted(pieces, key=lambda piece: (index_of[piece.source.name], piece.start))


def _whole(source: Source, split: str | None) -> Piece:
    return Piece(source=source, start=0, stop=source.length, split=split)


def _is_near(pieces: list[Piece], fractions: dict[str, float]) -> bool:
    """Whether no split's share is off by a factor of 2. Text that is split later has its share."""
    num_bytes: dict[str | None, int] = dict.fromkeys([None, *fractions], 0)
    for piece in pieces:
        num_bytes[piece.split] += piece.source_bytes
    total = sum(num_bytes.values())
    return all(
        fraction / 2 <= (num_bytes[split] + fraction * num_bytes[None]) / total <= fraction * 2
        for split, fraction in fractions.items()
    )


def _cut_ranges(sources: Sequence[Source], fractions: dict[str, float]) -> list[Piece]:
    """Cuts every source into ranges for all splits; short ones, laid end to end, with others."""
    smallest = min(fractions.values())
    lines: list[list[Piece]] = [[]]
    for source in sources:
        if num_source_bytes(lines[-1]) * smallest >= MIN_RANGE_BYTES:
            lines.append([])
        lines[-1].append(_whole(source, None))
    if len(lines) > 1 and num_source_bytes(lines[-1]) * smallest < MIN_RANGE_BYTES:
        lines[-2:] = [lines[-2] + lines[-1]]
    return [piece for line in lines for piece in _cut_line_into_ranges(line, fractions)]


def _cut_line_into_ranges(line: list[Piece], fractions: dict[str, float]) -> Iterator[Piece]:
    total, smallest = num_source_bytes(line), min(fractions.values())
    num_periods = min(max(int(total * smallest) // _RANGE_BYTES, 1), _MAX_PERIODS)
    # Half of the smallest range: a cut that moves on must not swallow a split.
    most_bytes = int(total / num_periods * smallest / 2)
    bounds = [
        round(total * (period + end) / num_periods)
        for period in range(num_periods)
        for end in range_ends(fractions)
    ]

    def cut(piece: Piece, offset: int) -> int:
        if piece.source_bytes <= most_bytes:
            return piece.stop  # a short document stays whole
        return piece.source.cut(offset, min(SEARCH_BYTES, most_bytes))

    parts = _cut_line(line, bounds[:-1], cut)
    for split, part in zip(itertools.cycle(fractions), parts, strict=False):
        for piece in part:
            yield dataclasses.replace(piece, split=split, ends_document=True)


def _shard_bytes(sources: Sequence[Source], options: PrepareOptions) -> int:
    if options.shard_bytes is not None:
        return options.shard_bytes
    total = sum(source.source_bytes for source in sources)
    return min(max(-(-total // 16), 4 * 2**20), 64 * 2**20)


def _shards_of(line: list[Piece], shard_bytes: int) -> list[Pieces]:
    """Returns the pieces of each shard; an empty one for an empty line."""
    if not line:
        return [()]
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

    def place_of(bound: int) -> tuple[int, int]:
        index = bisect.bisect_right(piece_starts, bound) - 1
        if index >= len(line):
            return len(line), 0
        start, source = line[index].start, line[index].source
        return index, start + (bound - piece_starts[index]) * source.length // source.source_bytes

    @functools.cache
    def cut_at(place: tuple[int, int]) -> tuple[int, int]:
        index, offset = place
        if index < len(line) and offset > line[index].start:
            offset = cut(line[index], offset)
        at_end = index < len(line) and offset >= line[index].stop
        return (index + 1, 0) if at_end else (index, offset)

    places = list(map(place_of, bounds))
    if all(piece.source.is_document and is_in_store(piece.source.path) for piece in line):
        # All at once, into the cache: each looks no further than a little. Among many documents
        # one may look to the end, where what it went through needs no other look.
        with concurrent.futures.ThreadPoolExecutor(_REQUESTS) as pool:
            list(pool.map(cut_at, places))
    cuts = [(0, 0)]  # as (index of the piece, offset in its source)
    for place in places:
        cuts.append(cut_at(place) if place >= cuts[-1] else cuts[-1])
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
        ends_document = piece.ends_document and last == piece.stop
        parts.append(
            dataclasses.replace(piece, start=first, stop=last, ends_document=ends_document)
        )
    return parts
