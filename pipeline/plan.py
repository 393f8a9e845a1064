"""Sources and options -> shard tasks: where the text is cut. Pure arithmetic.

The cuts follow from the sources' sizes, names and the options alone, never from the number
of workers, so the same input and options give the same bytes in every file.

1. Every document goes to a split by the hash of its name. Where that cannot come near the
   fractions asked for (few documents, or one that outweighs the rest), the sources, laid end
   to end, are cut into contiguous ranges instead.
2. Each split's text, laid end to end, is cut into equal shards of about `shard_bytes`: at the
   end of a document, or inside one that is larger than a shard.

A cut inside a document moves on to the next newline or UTF-8 boundary (`sources.find_cut`).
"""

import bisect
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import OptionError, UserError
from pipeline.sources import Source
from pipeline.vocabulary import Vocabulary

SEARCH_BYTES = 64 * 1024  # how far a cut may move to meet a newline
MIN_SHARD_BYTES = 64

FindCut = Callable[[Source, int, int], int]


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """What the bytes of a corpus depend on, besides its sources.

    Attributes:
        vocabulary: `byte` or `char`.
        name: the name of the TFDS dataset, hence the beginning of each shard's file name.
        splits: name -> fraction of the text; the fractions sum to 1.
        shard_bytes: bytes of source text in a shard, about.
        record_tokens: tokens in a record; a record is the smallest unit read from disk.
    """

    vocabulary: Literal["byte", "char"] = "byte"
    name: str = "text"
    splits: dict[str, float] = field(default_factory=lambda: {"train": 0.98, "validation": 0.02})
    shard_bytes: int = 64 * 2**20
    record_tokens: int = 16 * 2**10

    def __post_init__(self) -> None:
        if self.vocabulary not in ("byte", "char"):
            raise OptionError(f"`vocabulary` must be byte or char, not {self.vocabulary!r}")
        if not re.fullmatch(r"[A-Za-z][\w-]*", self.name, re.ASCII):
            raise OptionError(
                f"`name` must be a letter, then letters, digits, _ and -, not {self.name!r}"
            )
        if not self.splits:
            raise OptionError("`splits` is empty; give at least train=1")
        for split, fraction in self.splits.items():
            if not re.fullmatch(r"[A-Za-z]\w*", split, re.ASCII):
                raise OptionError(f"`splits`: a split's name is letters and digits, not {split!r}")
            if not 0 < fraction <= 1:
                raise OptionError(
                    f"`splits`: the fraction of {split} must be in (0, 1]: {fraction}"
                )
        if abs(sum(self.splits.values()) - 1) > 1e-6:
            total = f"{sum(self.splits.values()):.6g}"
            raise OptionError(f"`splits` must sum to 1, not to {total}: {self.splits}")
        if self.shard_bytes < MIN_SHARD_BYTES:
            raise OptionError(
                f"`shard_bytes` must be at least {MIN_SHARD_BYTES}, not {self.shard_bytes}"
            )
        if not 1 <= self.record_tokens <= 2**24:
            raise OptionError(
                f"`record_tokens` must be between 1 and {2**24}, not {self.record_tokens};"
                " the default suits most corpora"
            )


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The bytes `start … stop - 1` of a source."""

    source: Source
    start: int
    stop: int

    @property
    def ends_document(self) -> bool:
        """Whether the document ends here, so that a separator follows."""
        return self.stop == self.source.num_bytes


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """All that a worker needs to write one shard. Equal tasks write equal bytes.

    Attributes:
        path: the file to write.
        pieces: what it holds, in order.
    """

    path: str
    split: str
    pieces: tuple[Piece, ...]
    vocabulary: Vocabulary
    record_tokens: int

    @property
    def num_bytes(self) -> int:
        """The bytes of source text."""
        return sum(piece.stop - piece.start for piece in self.pieces)


def plan_pieces(
    sources: Sequence[Source], options: PrepareOptions, *, find_cut: FindCut
) -> dict[str, list[tuple[Piece, ...]]]:
    """Plans every shard: split -> the pieces of each of its shards.

    Args:
        sources: documents with text, in order.
        options: how the corpus is to be.
        find_cut: `sources.find_cut`; given so that the plan is pure.

    Raises:
        UserError: a split gets no text at all.
    """
    lines = _split_by_document(sources, options.splits)
    if lines is None:
        lines = _split_by_range(sources, options.splits, find_cut)
    for split, line in lines.items():
        if not line:
            raise UserError(
                f"`splits`: {split}={options.splits[split]:g} of"
                f" {sum(source.num_bytes for source in sources)} bytes is no text at all;"
                " give more text, or `--splits train=1`"
            )
    return {split: _shards_of(line, options, find_cut) for split, line in lines.items()}


def shard_file_name(name: str, split: str, shard_index: int, num_shards: int) -> str:
    """The name that TFDS expects of a shard's file."""
    return f"{name}-{split}.tfrecord-{shard_index:05d}-of-{num_shards:05d}"


def _split_by_document(
    sources: Sequence[Source], splits: dict[str, float]
) -> dict[str, list[Piece]] | None:
    """Each document to a split, or None where a split's share would be off by a factor of 2."""
    bounds = list(itertools.accumulate(splits.values()))[:-1]
    lines: dict[str, list[Piece]] = {split: [] for split in splits}
    names = list(splits)
    for source in sources:
        digest = hashlib.blake2b(source.name.encode("utf-8", "surrogateescape"), digest_size=8)
        fraction = int.from_bytes(digest.digest(), "big") / 2**64
        split = names[bisect.bisect_right(bounds, fraction)]
        lines[split].append(Piece(source=source, start=0, stop=source.num_bytes))
    total = sum(source.num_bytes for source in sources)
    for split, fraction in splits.items():
        share = _num_bytes(lines[split]) / total
        if not fraction / 2 <= share <= fraction * 2:
            return None
    return lines


def _split_by_range(
    sources: Sequence[Source], splits: dict[str, float], find_cut: FindCut
) -> dict[str, list[Piece]]:
    line = [Piece(source=source, start=0, stop=source.num_bytes) for source in sources]
    total = _num_bytes(line)
    bounds = [round(total * fraction) for fraction in itertools.accumulate(splits.values())][:-1]
    # Half of the smallest range: a cut that moves on to a newline must not swallow a split.
    search_bytes = min(SEARCH_BYTES, int(total * min(splits.values()) / 2))

    def cut(piece: Piece, offset: int) -> int:
        return find_cut(piece.source, offset, search_bytes)

    return dict(zip(splits, _cut_line(line, bounds, cut), strict=True))


def _shards_of(
    line: list[Piece], options: PrepareOptions, find_cut: FindCut
) -> list[tuple[Piece, ...]]:
    total = _num_bytes(line)
    num_shards = -(-total // options.shard_bytes)
    bounds = [total * index // num_shards for index in range(1, num_shards)]
    search_bytes = min(SEARCH_BYTES, total // num_shards // 2)

    def cut(piece: Piece, offset: int) -> int:
        if piece.stop - piece.start <= options.shard_bytes:
            return piece.stop  # a document that fits into a shard stays whole
        return find_cut(piece.source, offset, search_bytes)

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
    piece_starts = [0, *itertools.accumulate(piece.stop - piece.start for piece in line)]
    cuts = [(0, 0)]  # as (index of the piece, offset in its source)
    for bound in bounds:
        index = bisect.bisect_right(piece_starts, bound) - 1
        if index >= len(line):
            cuts.append((len(line), 0))
            continue
        piece = line[index]
        offset = piece.start + bound - piece_starts[index]
        if offset > piece.start:
            offset = min(cut(piece, offset), piece.stop)
        at_end = offset == piece.stop
        cuts.append(max(cuts[-1], (index + 1, 0) if at_end else (index, offset)))
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
        parts.append(Piece(source=piece.source, start=first, stop=last))
    return parts


def _num_bytes(line: Sequence[Piece]) -> int:
    return sum(piece.stop - piece.start for piece in line)
