"""Mixtures: several corpora in one endless order, in exact proportions.

Position `p` of the mixture is the next window of one corpus: a cycle of choices, as long as the sum
of the weights as integers, says of which. In every prefix of `p` positions a corpus of share `s`
has had `s·p` windows, give or take less than one. Each corpus keeps its own order, with epochs of
its own. How many windows each has had before any position is arithmetic, so a step costs a seek.
"""

import dataclasses
import functools
import heapq
import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import OptionError
from pipeline.reading.arrays.batches import ArrayBatches
from pipeline.reading.arrays.groups import Arrays, rebatch
from pipeline.reading.arrays.spans import ShardReader
from pipeline.reading.arrays.windows import make_rows
from pipeline.reading.batches import READ_AHEAD, Batches, Targets, declare
from pipeline.reading.corpus import Corpus
from pipeline.reading.geometry import SHUFFLE_BYTES, SPAN_TOKENS
from pipeline.reading.order import Order

if TYPE_CHECKING:
    import tensorflow as tf

_MAX_CYCLE = 10_000


def mix(
    corpora: Sequence[tuple[Corpus, float]],
    split: str,
    *,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int | None = 0,
    start_step: int = 0,
    host_index: int = 0,
    host_count: int = 1,
    targets: Targets = "sequence",
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_tokens: int = SPAN_TOKENS,
    read_ahead: int = READ_AHEAD,
) -> "tf.data.Dataset":
    """The training batches of several corpora, endless; see `Corpus.windows`.

    Batch `k` is a pure function of `k`, and the same for any number of hosts; but every host
    reads the bytes of all rows.

    Args:
        corpora: pairs of a corpus and its weight, such as `[(books, 0.7), (code, 0.3)]`. The
            weights need no sum; with few digits, for their cycle is at most 10,000 windows.
        split: the name of the split, in all of them.
        seq_len: tokens of an input.
        batch_size: rows of the global batch.
        stride: tokens between the starts of two windows; `None` means `seq_len`.
        seed: of the shuffles; `None` for the order of the texts.
        start_step: the first batch to yield.
        host_index: which of the hosts this is.
        host_count: hosts that share the batch; divides `batch_size`.
        targets: as in `Corpus.windows`.
        shuffle_bytes: memory that the shuffles may take together.
        span_tokens: as in `Corpus.windows`.
        read_ahead: reads under way at once, of each corpus.

    Returns:
        A dataset of `(inputs, targets)`, as of `Corpus.windows`.

    Raises:
        UserError: weights that are not positive or have no short cycle, vocabularies that
            differ, or what `Corpus.windows` refuses.
    """
    import tensorflow as tf

    from pipeline.reading.graph.groups import Rows
    from pipeline.reading.graph.spans import ShardFiles
    from pipeline.reading.graph.windows import make_rows as make_graph_rows

    batches = Batches(
        seq_len=seq_len,
        batch_size=batch_size,
        stride=stride,
        seed=seed,
        start_step=start_step,
        host_index=host_index,
        host_count=host_count,
        shuffle_bytes=shuffle_bytes,
        span_tokens=span_tokens,
        read_ahead=read_ahead,
        targets=targets,
    )
    mixture = _Mixture.of(corpora, batches)
    choices, rows, parts = mixture.choices, Rows(batches), []
    for index, (corpus, _) in enumerate(corpora):
        order = corpus.order(split, mixture.part)
        files = ShardFiles(corpus.shards(split, batches.windows, read_ahead=batches.read_ahead))
        start_row, sizes = mixture.sizes(index)
        one_by_one = Rows(mixture.part)
        part = make_graph_rows(files, order, one_by_one, start_row=start_row, targets=targets)
        parts.append(part.rebatch(sizes))

    @tf.autograph.experimental.do_not_convert
    def join(step: "tf.Tensor", parts: tuple[Any, ...]) -> Any:
        position = step * batches.batch_size + np.arange(batches.batch_size)
        chosen = tf.gather(choices, position % len(choices))
        # The rows of all parts, end to end, stand at these rows of the batch.
        places = tf.argsort(chosen, stable=True)
        own = tf.gather(tf.argsort(places), rows.places)
        return tuple(
            tf.ensure_shape(
                tf.gather(tf.concat(part, axis=0), own), [rows.count, *part[0].shape[1:]]
            )
            for part in zip(*parts, strict=True)
        )

    steps_of = tf.data.Dataset.range(batches.start_step, np.iinfo(np.int64).max)
    return declare(tf.data.Dataset.zip(steps_of, tuple(parts)).map(join))


def mix_batches(
    corpora: Sequence[tuple[Corpus, float]],
    split: str,
    *,
    seq_len: int,
    batch_size: int,
    stride: int | None = None,
    seed: int | None = 0,
    start_step: int = 0,
    host_index: int = 0,
    host_count: int = 1,
    targets: Targets = "sequence",
    shuffle_bytes: int = SHUFFLE_BYTES,
    span_tokens: int = SPAN_TOKENS,
    read_ahead: int = READ_AHEAD,
) -> ArrayBatches:
    """The batches of `mix` as NumPy arrays, without TensorFlow.

    The arguments and what they mean, the batches and their order are those of `mix`.

    Returns:
        An endless iterable of `(inputs, targets)`, as `Corpus.batches` has them.

    Raises:
        UserError: see `mix` and `Corpus.batches`.
    """
    batches = Batches(
        seq_len=seq_len,
        batch_size=batch_size,
        stride=stride,
        seed=seed,
        start_step=start_step,
        host_index=host_index,
        host_count=host_count,
        shuffle_bytes=shuffle_bytes,
        span_tokens=span_tokens,
        read_ahead=read_ahead,
        targets=targets,
    )
    mixture = _Mixture.of(corpora, batches)
    orders = [corpus.order(split, mixture.part) for corpus, _ in corpora]
    readers = [
        ShardReader(corpus.shards(split, batches.windows, read_ahead=batches.read_ahead))
        for corpus, _ in corpora
    ]
    return ArrayBatches(functools.partial(_make_arrays, mixture, readers, orders), None)


@dataclasses.dataclass(frozen=True)
class _Mixture:
    """Which rows of the batches are of which corpus.

    Attributes:
        batches: what is asked for.
        part: the same of one corpus, row by row.
        choices: `[cycle]` int64; the corpus of each position, over and over.
    """

    batches: Batches
    part: Batches
    choices: np.ndarray

    @classmethod
    def of(cls, corpora: Sequence[tuple[Corpus, float]], batches: Batches) -> "_Mixture":
        """Those of some corpora and their weights.

        Raises:
            OptionError: weights that are not positive or have no short cycle, or vocabularies that
                differ.
        """
        choices = choose(_integers([weight for _, weight in corpora]))
        first = corpora[0][0]
        for corpus, _ in corpora[1:]:
            if corpus.vocabulary.fingerprint != first.vocabulary.fingerprint:
                raise OptionError(
                    f"`corpora` must have one vocabulary: that of {corpus.directory} is not that "
                    f"of {first.directory}; prepare one with `--vocabulary` and the other's "
                    "directory"
                )
        part = dataclasses.replace(
            batches,
            batch_size=1,
            host_index=0,
            host_count=1,
            shuffle_bytes=batches.shuffle_bytes // len(corpora),
        )
        return cls(batches, part, choices)

    def sizes(self, index: int) -> tuple[int, np.ndarray]:
        """The rows of a corpus: where they begin, and how many each batch has.

        Returns:
            How many windows it has had before `start_step`, and its rows in the batches from there
            on, `[steps]` int64, which then come again.
        """
        cycle, batch_size = len(self.choices), self.batches.batch_size
        had = np.cumsum(self.choices == index)
        num_steps = cycle // math.gcd(cycle, batch_size)  # until the numbers of rows repeat
        first_step = self.batches.start_step

        def num_before(position: int) -> int:
            cycles, place = divmod(position, cycle)
            return cycles * int(had[-1]) + (int(had[place - 1]) if place else 0)

        steps = range(first_step, first_step + num_steps + 1)
        bounds = [num_before(step * batch_size) for step in steps]
        return bounds[0], np.diff(bounds)


def _make_arrays(
    mixture: _Mixture, readers: Sequence[ShardReader], orders: Sequence[Order]
) -> Iterator[Arrays]:
    """Yields a host's rows of every batch, from `start_step` on."""
    batches, choices = mixture.batches, mixture.choices
    parts = []
    for index, (reader, order) in enumerate(zip(readers, orders, strict=True)):
        start_row, sizes = mixture.sizes(index)
        rows = make_rows(
            reader,
            order,
            mixture.part,
            start_row=start_row,
            stop_row=None,
            targets=batches.targets,
        )
        parts.append(rebatch(rows, itertools.cycle(sizes.tolist())))
    for step in itertools.count(batches.start_step):
        position = step * batches.batch_size + np.arange(batches.batch_size)
        # The rows of all parts, end to end, stand at these rows of the batch.
        places = np.argsort(choices[position % len(choices)], kind="stable")
        own = np.argsort(places)[batches.places]
        found = [next(part) for part in parts]
        yield tuple(np.concatenate(arrays)[own] for arrays in zip(*found, strict=True))


def choose(weights: Sequence[int]) -> np.ndarray:
    """Spreads choices evenly over a cycle: earliest deadline first.

    The `j`-th choice of index `i` (from 0), whose share is `s = weights[i] / sum(weights)`, may
    not come before place `floor(j / s)` and must by place `ceil((j + 1) / s) - 1`. This always
    has a solution, and it is what keeps every prefix exact (Liu and Layland 1973; the bounds:
    Baruah et al., "Proportionate Progress", 1996).

    Args:
        weights: positive.

    Returns:
        `[sum(weights)]` int64 indices.
    """
    cycle = sum(weights)
    released: list[tuple[int, int, int]] = []  # deadline, index, number of the choice
    waiting = [(0, index, 0) for index in range(len(weights))]  # release, index, number
    choices = np.empty(cycle, np.int64)
    for place in range(cycle):
        while waiting and waiting[0][0] <= place:
            _, index, number = heapq.heappop(waiting)
            deadline = -(-(number + 1) * cycle // weights[index])
            heapq.heappush(released, (deadline, index, number))
        _, index, number = heapq.heappop(released)
        choices[place] = index
        if number + 1 < weights[index]:
            release = (number + 1) * cycle // weights[index]
            heapq.heappush(waiting, (release, index, number + 1))
    return choices


def _integers(weights: Sequence[float]) -> list[int]:
    """The smallest integers in the same proportions."""
    for weight in weights:
        if not (math.isfinite(weight) and weight > 0):
            raise OptionError(f"`weights` must be above 0, got {weight!r}; leave that corpus out")
    if not weights:
        raise OptionError("`corpora` must name at least one corpus and its weight")
    exact = [Fraction(str(weight)) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    integers = [int(weight * scale) for weight in exact]
    divisor = math.gcd(*integers)
    integers = [integer // divisor for integer in integers]
    if sum(integers) > _MAX_CYCLE:
        raise OptionError(
            f"`weights` {list(weights)} are in the proportions {integers}, a cycle of "
            f"{sum(integers)} windows; at most {_MAX_CYCLE} are possible: round them"
        )
    return integers
