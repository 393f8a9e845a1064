"""Balance of the splits: is one of many sources nearly all of a small one?"""

import collections
from collections.abc import Iterator
from typing import NamedTuple

from pipeline.layout.manifest import Manifest
from pipeline.preparing.plan import Plan

_MOST = 0.9  # of a split that one source may be
_SMALL = 0.5  # of the text, below which a split is small, and the share of such a source

Amount = tuple[str, str, float]  # split, source, bytes of the source in it


class OneSided(NamedTuple):
    """A split that is nearly all of one source.

    Attributes:
        split: its name.
        source: the name of the source.
        share: the source's part of the split.
        text_share: the source's part of all text.
    """

    split: str
    source: str
    share: float
    text_share: float


def one_sided_splits(amounts: Iterator[Amount]) -> list[OneSided]:
    """Returns the small splits of which one source is nearly all, though not of the text.

    Args:
        amounts: what is in every split of every source, in any portions.
    """
    splits: dict[str, dict[str, float]] = {}
    text: dict[str, float] = collections.defaultdict(float)
    for split, source, num_bytes in amounts:
        of_split = splits.setdefault(split, collections.defaultdict(float))
        of_split[source] += num_bytes
        text[source] += num_bytes
    total = sum(text.values())
    found = []
    for split, of_split in splits.items():
        of_split_bytes = sum(of_split.values())
        source = max(of_split, key=of_split.__getitem__)
        share, text_share = of_split[source] / of_split_bytes, text[source] / total
        if share >= _MOST and max(text_share, of_split_bytes / total) < _SMALL:
            found.append(OneSided(split, source, share, text_share))
    return found


def one_sided_text(found: OneSided) -> str:
    """Returns a note about such a split, for people."""
    return (
        f"note: {found.share:.0%} of {found.split} is of one source, {found.source}, which is "
        f"{found.text_share:.0%} of the text: {found.split} says little of the others; a larger "
        "fraction in `--splits` takes more of them"
    )


def amounts_of_plan(plan: Plan, fractions: dict[str, float]) -> Iterator[Amount]:
    """Yields what a plan puts into every split; of text that is split later, a fraction."""
    for splits, shards in plan.shards.items():
        for piece in (piece for shard in shards for piece in shard):
            for split in splits:
                if piece.may_hold(split):
                    part = fractions[split] if piece.split is None else 1.0
                    yield split, piece.source.name, part * piece.source_bytes


def amounts_of_manifest(manifest: Manifest) -> Iterator[Amount]:
    """Yields what is in every split of a corpus; of text that was split by its content, about."""
    fractions = manifest.options["splits"]
    for name, split in manifest.splits.items():
        for piece in (piece for shard in split.shards for piece in shard.pieces):
            source = manifest.sources[piece.source_index]
            part = 1.0 if source.is_document else fractions[name]
            num_bytes = (piece.stop - piece.start) * source.source_bytes / source.length
            yield name, source.name, part * num_bytes
