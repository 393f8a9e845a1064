"""Content of a corpus: how often its tokens come, how long its documents are, what it looks like.

Of a large corpus stretches at even distances are read, so that time and memory are bounded.
"""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np

from pipeline.auditing.passages import read_tokens
from pipeline.layout.manifest import Shard
from pipeline.progress import progress_bar
from pipeline.reading.corpus import Corpus

MOST_BYTES = 2**26  # of tokens that are read
_STRETCH_BYTES = 2**20  # that are read together
_WINDOW_TOKENS = {"byte": 320, "char": 320}
_SUBWORDS = 120  # of a window, where tokens are longer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """What was counted.

    Attributes:
        token_counts: `[vocabulary size]` int64: how often each id was read.
        lengths: `[n]` int64: tokens of the documents that were read whole, without separators.
        share: of the corpus's tokens that were read; 1 for all.
    """

    token_counts: np.ndarray
    lengths: np.ndarray
    share: float

    @property
    def num_read(self) -> int:
        """The tokens that were read."""
        return int(self.token_counts.sum())


@dataclasses.dataclass(frozen=True, kw_only=True)
class SampleWindow:
    """A few tokens as text.

    Attributes:
        split: where they stand.
        first_token: index of the first, in the shard.
        shard: the file.
        parts: the texts between separators: of one document each.
    """

    split: str
    shard: str
    first_token: int
    parts: tuple[str, ...]


def measure_content(
    corpus: Corpus, *, most_bytes: int = MOST_BYTES, progress: bool = False
) -> Content:
    """Counts the tokens and documents of a corpus, or of stretches at even distances.

    A document that a stretch cuts does not count among the lengths, so long ones are missed where
    not all is read.

    Args:
        corpus: what is read.
        most_bytes: of tokens, that are read.
        progress: shows a progress bar.

    Raises:
        UserError: a shard is damaged.
        FileNotFoundError: a shard is missing.
    """
    counts = np.zeros(corpus.vocabulary.size, np.int64)
    lengths = []
    num_tokens = sum(split.num_tokens for split in corpus.splits.values())
    itemsize = corpus.vocabulary.dtype.itemsize
    with progress_bar("counting", min(num_tokens * itemsize, most_bytes), progress) as bar:
        for begins, run in _runs(corpus, most_bytes):
            whole = _WholeDocuments(corpus.vocabulary.separator_id, begins=begins)
            for tokens in run:
                counts += np.bincount(tokens, minlength=len(counts))
                lengths.append(whole.add(tokens))
                bar.update(len(tokens) * itemsize)
    return Content(
        token_counts=counts,
        lengths=np.concatenate([np.array([], np.int64), *lengths]),
        share=int(counts.sum()) / num_tokens if num_tokens else 1.0,
    )


def sample_windows(corpus: Corpus, *, per_split: int = 3) -> list[SampleWindow]:
    """Takes windows at even distances from every split.

    Args:
        corpus: what is read.
        per_split: how many.

    Raises:
        UserError: a shard is damaged.
        FileNotFoundError: a shard is missing.
    """
    num_tokens = _WINDOW_TOKENS.get(corpus.vocabulary.kind, _SUBWORDS)
    samples = []
    for name, split in corpus.splits.items():
        places = {int((index + 0.5) / per_split * split.num_tokens) for index in range(per_split)}
        for place in sorted(places) if split.num_tokens else ():
            shard, start = _at(split.shards, place)
            start = max(0, min(start, shard.num_tokens - num_tokens))
            stop = min(start + num_tokens, shard.num_tokens)
            tokens = read_tokens(corpus, shard, start, stop)
            ends = np.flatnonzero(tokens == corpus.vocabulary.separator_id)
            cuts = [0, *(ends + 1), len(tokens) + 1]
            parts = tuple(
                corpus.vocabulary.decode(tokens[first : last - 1])
                for first, last in itertools.pairwise(cuts)
            )
            sample = SampleWindow(split=name, shard=shard.file, first_token=start, parts=parts)
            if sample not in samples:
                samples.append(sample)
    return samples


class _WholeDocuments:
    """Lengths of the documents that both begin and end in what is read.

    Args:
        separator_id: the id that ends a document.
        begins: whether the first token begins a document.
    """

    def __init__(self, separator_id: int, *, begins: bool) -> None:
        self._separator_id = separator_id
        # Tokens of the document so far; None: it began before.
        self._open: int | None = 0 if begins else None

    def add(self, tokens: np.ndarray) -> np.ndarray:
        """Returns the lengths, `[n]` int64, of the documents that end in the next tokens."""
        ends = np.flatnonzero(tokens == self._separator_id)
        if not len(ends):
            self._open = None if self._open is None else self._open + len(tokens)
            return np.array([], np.int64)
        lengths = np.diff(ends) - 1
        if self._open is not None:
            lengths = np.concatenate([[self._open + ends[0]], lengths])
        self._open = int(len(tokens) - 1 - ends[-1])
        return lengths


def _runs(corpus: Corpus, most_bytes: int) -> Iterator[tuple[bool, Iterator[np.ndarray]]]:
    """Yields all of each split, or stretches of it; and whether the first begins a document."""
    itemsize = corpus.vocabulary.dtype.itemsize
    size = max(1, _STRETCH_BYTES // itemsize)
    total = sum(split.num_tokens for split in corpus.splits.values())
    for split in corpus.splits.values():
        if total * itemsize <= most_bytes:
            tokens = (
                read_tokens(corpus, shard, start, min(start + size, shard.num_tokens))
                for shard in split.shards
                for start in range(0, shard.num_tokens, size)
            )
            yield True, tokens
            continue
        share = most_bytes / (total * itemsize)
        num_stretches = max(1, round(share * split.num_tokens / size))
        for index in range(num_stretches):
            place = int(index / num_stretches * split.num_tokens)
            shard, start = _at(split.shards, place)
            stop = min(start + size, shard.num_tokens)
            yield False, iter([read_tokens(corpus, shard, start, stop)])


def _at(shards: tuple[Shard, ...], place: int) -> tuple[Shard, int]:
    """The shard that has a token of the split, and the token's index there."""
    for shard in shards:
        if place < shard.num_tokens:
            return shard, place
        place -= shard.num_tokens
    raise AssertionError("the place is one of the split's")
