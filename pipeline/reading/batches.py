"""Batches that are asked for: of what, in which order, from which step on, on which host."""

import dataclasses
import math
import operator
from typing import TYPE_CHECKING, Literal

import numpy as np

from pipeline.errors import OptionError
from pipeline.options import check_int
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_BYTES, SPAN_TOKENS, Windows

if TYPE_CHECKING:
    import tensorflow as tf

Targets = Literal["sequence", "last"]

READ_AHEAD = 16  # reads under way at once
# What commands take where they are told nothing else.
DEFAULT_SEQ_LEN = DEFAULT_BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batching:
    """What batches of windows and of records are both asked for; always valid.

    Attributes:
        batch_size: rows of the global batch.
        seed: of the shuffle; `None` for the order of the text.
        start_step: the first batch.
        epochs: how often each window comes; `None`: without end.
        host_index: which of the hosts this is.
        host_count: hosts that share the batch; divides `batch_size`.
        shuffle_bytes: memory that the shuffle may take, in bytes. The order depends on it.
        read_ahead: reads under way at once.

    Raises:
        OptionError: one is out of its range.
    """

    batch_size: int = 1
    seed: int | None = 0
    start_step: int = 0
    epochs: int | None = None
    host_index: int = 0
    host_count: int = 1
    shuffle_bytes: int = SHUFFLE_BYTES
    read_ahead: int = READ_AHEAD

    def __post_init__(self) -> None:
        check_int(self, 1, "batch_size", "host_count", "read_ahead")
        check_int(self, 1, "epochs", or_none=True)
        check_int(self, 0, "start_step", "host_index", "shuffle_bytes")
        if self.seed is not None:
            object.__setattr__(self, "seed", operator.index(self.seed))
        if self.host_index >= self.host_count:
            raise OptionError(
                "`host_index` must be in 0 … `host_count` - 1, got "
                f"{self.host_index} of {self.host_count}"
            )
        if self.batch_size % self.host_count:
            raise OptionError(
                "`batch_size` must be a multiple of `host_count`, so that every host gets as many "
                f"rows, got {self.batch_size} rows for {self.host_count} hosts"
            )

    @property
    def host_rows(self) -> int:
        """Rows of every batch that a host gets."""
        return self.batch_size // self.host_count

    @property
    def places(self) -> np.ndarray:
        """The host's rows, as indices in the batch, ascending: `[host_rows]` int64.

        The rows of a batch, sorted by their residues modulo 2, then 4, 12, 24, … as far as these
        divide the batch size, are cut into equal parts. So a host needs the spans of few stripes
        of the order, whatever the batch size and the number of stripes. In the order of the text
        a host's rows stand side by side. With 8 rows and 4 hosts:

            row in the batch     0 1 2 3 4 5 6 7
            residue modulo 4     0 1 2 3 0 1 2 3
            host                 0 2 1 3 0 2 1 3
            in text order        0 0 1 1 2 2 3 3
        """
        row = np.arange(self.batch_size)
        if self.seed is not None:
            moduli = [math.gcd(self.batch_size, divisor) for divisor in (2, 4, 12, 24, 48, 96, 192)]
            row = np.lexsort([row % modulus for modulus in reversed(moduli)])
        first = self.host_index * self.host_rows
        return np.sort(row[first : first + self.host_rows])

    def residues(self, stripes: int) -> np.ndarray:
        """Whether the host has rows of a residue, `[n]` bool, `n` a divisor of both sizes.

        The rows at positions `p`, `p + stripes`, … are of one stripe of the order. The host may
        have one of them where `residues[p % n]`.
        """
        period = math.gcd(self.batch_size, stripes)
        return np.isin(np.arange(period), self.places % period)

    def num_left(self, num_windows: int) -> int | None:
        """The batches from `start_step` to the end of the epochs; `None` where there is no end.

        They are full ones, for all hosts alike. What no longer fills a batch is left out once, at
        the very end: 3 epochs of 5 windows are 7 batches of 2.

        Args:
            num_windows: of an epoch.

        Raises:
            OptionError: the epochs have not one batch, or end before `start_step`.
        """
        if self.epochs is None:
            return None
        num_positions = self.epochs * num_windows
        if self.batch_size > num_positions:
            raise OptionError(
                f"`batch_size` must be at most the {num_positions} windows of all `epochs`, for "
                f"there is no batch else, got {self.batch_size}"
            )
        num_batches = num_positions // self.batch_size
        if self.start_step > num_batches:
            raise OptionError(
                f"`start_step` must be at most the {num_batches} batches of all `epochs`, got "
                f"{self.start_step}"
            )
        return num_batches - self.start_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batches(Batching):
    """What the methods of `Corpus`, `mix` and `trace` are asked for; always valid.

    Attributes:
        seq_len: tokens of an input; a window has one more.
        stride: tokens between the starts of two windows; `None` means `seq_len`.
        span_tokens: tokens that one seek reads, about. The order depends on it.
        targets: of a window: each token's next, or only the token after it.
        across_documents: whether a window goes on in the next document.
        segments: whether documents are numbered in each window, and tokens in each document.

    Raises:
        OptionError: one is out of its range, or has no effect.
    """

    seq_len: int
    stride: int | None = None
    span_tokens: int = SPAN_TOKENS
    targets: Targets = "sequence"
    across_documents: bool = True
    segments: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int(self, 1, "seq_len", "span_tokens")
        check_int(self, 1, "stride", or_none=True)
        if self.targets not in ("sequence", "last"):
            raise OptionError(f"`targets` must be sequence or last, got {self.targets!r}")
        if self.segments and not self.across_documents:
            raise OptionError(
                "`segments` has no effect on windows of one document: leave out one of `segments` "
                "and `across_documents=False`"
            )

    @property
    def windows(self) -> Windows:
        """The windows that a split is cut into."""
        return Windows(seq_len=self.seq_len, stride=self.stride or self.seq_len)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordBatches(Batching):
    """What `Records.batches` and `trace_records` are asked for; always valid.

    Attributes:
        span_bytes: bytes that one seek reads, about, or one record. The order depends on it.

    Raises:
        OptionError: one is out of its range.
    """

    span_bytes: int = SPAN_BYTES

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int(self, 1, "span_bytes")


def declare(dataset: "tf.data.Dataset", num_batches: int | None = None) -> "tf.data.Dataset":
    """Lets a dataset without end say so, and be saved; or ends it.

    What stands before it, `flat_map` and `rebatch`, hides how many batches there are: `fit` could
    show no progress, and hosts of one strategy would agree before every batch on whether all of
    them have one. Iterators refuse to be saved for the sake of reads inside a `map`, which have no
    state that a seed or a step does not determine.

    Args:
        dataset: of batches, without end.
        num_batches: where it ends; `None`: nowhere.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    infinite = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    dataset = dataset.with_options(options).apply(infinite)
    return dataset if num_batches is None else dataset.take(num_batches)
