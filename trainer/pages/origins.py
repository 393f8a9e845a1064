"""Origins of the rows of batches: where in a split they stand, shuffled and as the text goes."""

import dataclasses

import numpy as np

from pipeline.auditing.shuffle_quality import Comparison, measure
from pipeline.reading.batches import Batches
from pipeline.reading.corpus import Corpus

_MOST_BATCHES, _MOST_ROWS = 32, 24  # that are shown
_LEAST_WINDOWS = 4  # in a batch, so that there is an order to see


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origins:
    """Rows of the first batches.

    Attributes:
        split: the name of the split.
        seq_len: tokens of an input.
        batch_size: rows of a batch; fewer than was asked for where the split is small.
        shuffled: `[batches, rows]` float64: where each row stands in the split, from 0 to 1.
        in_order: the same of an order without a shuffle.
        comparison: how good the shuffle is.
    """

    split: str
    seq_len: int
    batch_size: int
    shuffled: np.ndarray
    in_order: np.ndarray
    comparison: Comparison


def find_origins(corpus: Corpus, split: str, *, seq_len: int, batch_size: int) -> Origins | None:
    """Looks at the first batches of a split; None where it has too few windows.

    Args:
        corpus: what is read: of it the manifest alone.
        split: the name of a split.
        seq_len: tokens of an input.
        batch_size: rows of a batch.

    Raises:
        UserError: no such split.
    """
    num_windows = corpus.num_windows(split, seq_len=seq_len)
    batch_size = min(batch_size, num_windows // _LEAST_WINDOWS)
    if batch_size < 1:
        return None
    num_batches = min(_MOST_BATCHES, num_windows // batch_size)
    rows = np.arange(min(batch_size, _MOST_ROWS))
    positions = (np.arange(num_batches)[:, None] * batch_size + rows).reshape(-1)

    def places(seed: int | None) -> np.ndarray:
        batches = Batches(seq_len=seq_len, batch_size=batch_size, seed=seed)
        windows = corpus.order(split, batches).windows(positions)
        return windows.reshape(num_batches, -1) / num_windows

    return Origins(
        split=split,
        seq_len=seq_len,
        batch_size=batch_size,
        shuffled=places(0),
        in_order=places(None),
        comparison=measure(corpus, split, seq_len=seq_len, batch_size=batch_size),
    )
