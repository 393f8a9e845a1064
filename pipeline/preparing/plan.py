"""Sources and options -> shard tasks: where the text is cut. Pure arithmetic.

The cuts follow from the sources' sizes, names and the options alone, never from the number
of workers, so the same input and options give the same bytes in every file.

1. Where every source is a document, each goes to a split by the hash of its name. Where that
   cannot come near the fractions asked for (few documents, or one that outweighs the rest), the
   sources, laid end to end, are cut into contiguous ranges instead.
2. Each split's text, laid end to end, is cut into equal shards of about `shard_bytes`: at the
   end of a document, or inside one that is larger than a shard.
3. Where any source holds many documents (rows, lines), their content decides on their split,
   and only who reads them knows it: all sources, laid end to end, are cut as above, and each
   task writes one shard for every split, perhaps an empty one. So two equal documents are
   never in two splits. Sources that are documents still go by their names.

A cut inside a document moves on to the next newline or UTF-8 boundary, a cut in many documents
to the end of one (`sources.find_cut`). Compressed files are not cut, and count as compressed.
"""

import bisect
import dataclasses
import hashlib
import itertools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.errors import OptionError, UserError
from pipeline.text.formats.delimited import DOCUMENTS, FILE
from pipeline.text.sources import Reading, Source
from pipeline.vocabulary.base import Vocabulary

SEARCH_BYTES = 64 * 1024  # how far a cut may move to meet a newline
MIN_SHARD_BYTES = 64

FindCut = Callable[[Source, int, int], int]


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """What the bytes of a corpus depend on, besides its sources.

    Attributes:
        vocabulary: `byte`, `char`, `bpe:SIZE` to train subwords on the text, or the path of a
            `tokenizer.json`, of a `vocabulary.json` or of a corpus whose vocabulary to take.
            In a manifest, a path is the vocabulary's fingerprint.
        name: the name of the TFDS dataset, hence the beginning of each shard's file name.
        splits: name -> fraction of the text; the fractions sum to 1.
        shard_bytes: bytes of source text in a shard, about; `None`: a sixteenth of the text, but
            between 4 and 64 MiB, so that a small text, too, is work for many.
        record_tokens: tokens in a record; a record is the smallest unit read from disk.
        document: what a document is in plain text: a `file`, a `line`, the lines between
            blank ones (`blank_line`), or the text between separators, which is given instead.
        text_field: of JSON Lines, Parquet and TFDS: the field that holds the text.
        min_count: characters that are rarer have no id, and become U+FFFD.
        unknown: what to do with characters that a given vocabulary lacks: an `error`, or
            `replace` them by U+FFFD.
    """

    vocabulary: str = "byte"
    name: str = "text"
    splits: dict[str, float] = field(default_factory=lambda: {"train": 0.98, "validation": 0.02})
    shard_bytes: int | None = None
    record_tokens: int = 16 * 2**10
    document: str = FILE
    text_field: str | None = None
    min_count: int = 1
    unknown: str = "error"

    @property
    def bpe_size(self) -> int | None:
        """The `SIZE` of `bpe:SIZE`."""
        kind, colon, size = self.vocabulary.partition(":")
        return int(size) if kind == "bpe" and colon else None

    @property
    def reading(self) -> Reading:
        """How the sources are read."""
        return Reading(document=self.document, text_field=self.text_field)

    def __post_init__(self) -> None:
        self._check_vocabulary()
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
        if self.shard_bytes is not None and self.shard_bytes < MIN_SHARD_BYTES:
            raise OptionError(
                f"`shard_bytes` must be at least {MIN_SHARD_BYTES}, not {self.shard_bytes}"
            )
        if not 1 <= self.record_tokens <= 2**24:
            raise OptionError(
                f"`record_tokens` must be between 1 and {2**24}, not {self.record_tokens};"
                " the default suits most corpora"
            )
        if self.document not in DOCUMENTS and self.document.isidentifier():
            raise OptionError(
                f"`document` must be {', '.join(DOCUMENTS)} or a separator, which is no mere word,"
                f" for that would split sentences: {self.document!r}"
            )
        if not self.document:
            raise OptionError("`document` is empty; the separator needs at least one character")
        if self.text_field == "":
            raise OptionError("`text_field` is empty; name the field that holds the text")

    def _check_vocabulary(self) -> None:
        if not self.vocabulary:
            raise OptionError("`vocabulary` is empty; it is byte, char, bpe:SIZE or a file")
        if self.vocabulary == "bpe" or self.vocabulary.startswith("bpe:"):
            size = self.vocabulary.removeprefix("bpe").removeprefix(":")
            if not size.isascii() or not size.isdecimal() or not 257 <= int(size) <= 2**20:
                raise OptionError(
                    f"`vocabulary` bpe:SIZE needs a number of ids between 257 and {2**20}, as in"
                    f" bpe:8192, not {self.vocabulary!r}"
                )
        if self.unknown not in ("error", "replace"):
            raise OptionError(f"`unknown` must be error or replace, not {self.unknown!r}")
        if self.min_count < 1:
            raise OptionError(f"`min_count` must be at least 1, not {self.min_count}")
        if self.min_count > 1 and self.vocabulary != "char":
            raise OptionError(
                f"`min_count` {self.min_count} has no effect with `vocabulary` {self.vocabulary};"
                " only of `char` are rare symbols left out"
            )
        if self.unknown == "replace" and (
            self.vocabulary in ("byte", "char") or self.vocabulary.startswith("bpe:")
        ):
            raise OptionError(
                "`unknown` replace has no effect: a vocabulary made from the text, and bytes,"
                " know everything; give the `vocabulary` of another corpus"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A stretch of a source.

    Attributes:
        source: the source.
        start: where it starts: a byte of the file, or a row of Parquet and TFDS.
        stop: where it stops, likewise. A compressed file is one piece, `0 … num_bytes`.
        split: the split of its document, `None` where it holds many.
    """

    source: Source
    start: int
    stop: int
    split: str | None = None

    @property
    def ends_document(self) -> bool:
        """Whether the document ends here, so that a separator follows."""
        return self.stop == self.source.length

    @property
    def num_bytes(self) -> int:
        """Its part of the source's bytes; exact but for rows, which count as equally long."""
        length = self.stop - self.start
        if self.source.num_rows is None:
            return length
        return length * self.source.num_bytes // self.source.length


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """All that a worker needs to write one shard, or one for every split.

    Equal tasks write equal bytes.

    Attributes:
        paths: split -> the file to write.
        pieces: what they hold, in order.
        fractions: split -> its part of the documents whose content decides.
        vocabulary: text -> ids.
        record_tokens: tokens of a full record.
    """

    paths: dict[str, str]
    pieces: tuple[Piece, ...]
    fractions: dict[str, float]
    vocabulary: Vocabulary
    record_tokens: int

    @property
    def num_bytes(self) -> int:
        """The bytes to read, as the sources lie there."""
        return _num_bytes(self.pieces)

    def pieces_of(self, split: str) -> tuple[Piece, ...]:
        """The pieces that may have text in a split."""
        return tuple(piece for piece in self.pieces if piece.split in (None, split))


Plan = dict[tuple[str, ...], list[tuple[Piece, ...]]]  # splits written together -> their shards


def plan_pieces(sources: Sequence[Source], options: PrepareOptions, *, find_cut: FindCut) -> Plan:
    """Plans every shard.

    Args:
        sources: in order, each with text.
        options: how the corpus is to be.
        find_cut: `sources.find_cut`; given so that the plan is pure.

    Returns:
        Splits -> the pieces of each of their shards. Each split stands alone where every source
        is a document, else all together: one shard of each is written from the same pieces.

    Raises:
        UserError: a split gets no text at all.
    """
    by_name = SplitOf(options.splits)
    shard_bytes = _shard_bytes(sources, options)
    if not all(source.is_document for source in sources):
        line = [
            Piece(
                source=source,
                start=0,
                stop=source.length,
                split=by_name(name_bytes(source)) if source.is_document else None,
            )
            for source in sources
        ]
        return {tuple(options.splits): _shards_of(line, shard_bytes, find_cut)}
    lines = _split_by_document(sources, options.splits, by_name)
    if lines is None:
        lines = _split_by_range(sources, options.splits, find_cut)
    for split, line in lines.items():
        if not line:
            raise UserError(
                f"`splits`: {split}={options.splits[split]:g} of"
                f" {sum(source.num_bytes for source in sources)} bytes is no text at all;"
                " give more text, or `--splits train=1`" + _of_compressed(sources)
            )
    return {(split,): _shards_of(line, shard_bytes, find_cut) for split, line in lines.items()}


def make_tasks(
    plan: Plan, options: PrepareOptions, vocabulary: Vocabulary, directory: str | os.PathLike[str]
) -> list[ShardTask]:
    """Makes the task of every shard of a plan, to be written to a directory."""
    return [
        ShardTask(
            paths={
                split: os.path.join(
                    directory, shard_file_name(options.name, split, index, len(shards))
                )
                for split in splits
            },
            pieces=pieces,
            fractions=options.splits,
            vocabulary=vocabulary,
            record_tokens=options.record_tokens,
        )
        for splits, shards in plan.items()
        for index, pieces in enumerate(shards)
    ]


class SplitOf:
    """Bytes -> the split that their hash falls into.

    Args:
        fractions: split -> its share, in order; the shares sum to 1.
    """

    def __init__(self, fractions: dict[str, float]):
        self._splits = list(fractions)
        self._bounds = list(itertools.accumulate(fractions.values()))[:-1]

    def __call__(self, data: bytes) -> str:
        """Returns the split: the same for the same bytes, on every machine, for all time."""
        digest = hashlib.blake2b(data, digest_size=8).digest()
        fraction = int.from_bytes(digest, "big") / 2**64
        return self._splits[bisect.bisect_right(self._bounds, fraction)]


def shard_file_name(name: str, split: str, shard_index: int, num_shards: int) -> str:
    """The name that TFDS expects of a shard's file."""
    return f"{name}-{split}.tfrecord-{shard_index:05d}-of-{num_shards:05d}"


def name_bytes(source: Source) -> bytes:
    """What decides on the split of a document that fills a source."""
    return source.name.encode("utf-8", "surrogateescape")


def _of_compressed(sources: Sequence[Source]) -> str:
    if not any(source.compression for source in sources):
        return ""
    return (
        ". A compressed file is not cut: decompress it, or pipe it"
        " (`zcat FILE | textreel prepare - …`)"
    )


def _split_by_document(
    sources: Sequence[Source], splits: dict[str, float], by_name: SplitOf
) -> dict[str, list[Piece]] | None:
    """Each document to a split, or None where a split's share would be off by a factor of 2."""
    lines: dict[str, list[Piece]] = {split: [] for split in splits}
    for source in sources:
        split = by_name(name_bytes(source))
        lines[split].append(Piece(source=source, start=0, stop=source.num_bytes, split=split))
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

    return {
        split: [dataclasses.replace(piece, split=split) for piece in pieces]
        for split, pieces in zip(splits, _cut_line(line, bounds, cut), strict=True)
    }


def _shard_bytes(sources: Sequence[Source], options: PrepareOptions) -> int:
    if options.shard_bytes is not None:
        return options.shard_bytes
    total = sum(source.num_bytes for source in sources)
    return min(max(-(-total // 16), 4 * 2**20), 64 * 2**20)


def _shards_of(line: list[Piece], shard_bytes: int, find_cut: FindCut) -> list[tuple[Piece, ...]]:
    total = _num_bytes(line)
    num_shards = -(-total // shard_bytes)
    bounds = [total * index // num_shards for index in range(1, num_shards)]
    search_bytes = min(SEARCH_BYTES, total // num_shards // 2)

    def cut(piece: Piece, offset: int) -> int:
        if piece.source.is_document and piece.num_bytes <= shard_bytes:
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
    piece_starts = [0, *itertools.accumulate(piece.num_bytes for piece in line)]
    cuts = [(0, 0)]  # as (index of the piece, offset in its source)
    for bound in bounds:
        index = bisect.bisect_right(piece_starts, bound) - 1
        if index >= len(line):
            cuts.append((len(line), 0))
            continue
        piece = line[index]
        source = piece.source
        offset = piece.start + (bound - piece_starts[index]) * source.length // source.num_bytes
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
        parts.append(dataclasses.replace(piece, start=first, stop=last))
    return parts


def _num_bytes(line: Sequence[Piece]) -> int:
    return sum(piece.num_bytes for piece in line)
