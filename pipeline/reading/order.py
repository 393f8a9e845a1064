"""Order in which a split is read: position -> window. Pure integer arithmetic.

All windows of a split are numbered `0 … n - 1` in the order of the text. An epoch is a
permutation of them that depends on the seed and the epoch alone:

1. The numbers, rotated by a random amount, are cut into *spans*, runs of consecutive windows
   that one seek reads. As many spans as there are stripes are a *row*.
2. Position `p` of an epoch belongs to *stripe* `p % stripes`. A stripe takes one span of every
   row, and goes through the rows in a random order of its own.
3. The next few rows of all stripes are a *group*: what is in memory at once. Within a group a
   stripe goes round its spans: a *round* takes one window of every span, in a random order.

With 2 stripes, and groups of 3 spans of 2 windows a stripe, for example:

    position in the group    0  1 | 2  3 | 4  5 | 6  7 | 8  9 |10 11
    span of stripe 0         a    | b    | c    | b    | a    | c
    span of stripe 1            d |    e |    f |    f |    d |    e
    window of the span       1  0 | 0  1 | 1  1 | 1  0 | 0  1 | 0  0

So a batch comes from as many places in the text as a perfect shuffle would choose, windows of one
span never stand near each other, and a host that trains on some stripes reads the spans of these
stripes only. The order knows neither batches nor hosts.

The windows that do not fill a row are shared among the groups, as one *short* span for each of
its stripes, whose windows are spread evenly over the group. All groups have as many rows, or one
less. A split that fits one group is cut into as many spans as a group may have, of single
windows if it is that short.

The same formulas run on NumPy arrays here and on tensors in `graph.groups`: they use operators,
and the functions of `Functions`.
"""

import bisect
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

# Batches of many sizes, and numbers of hosts, divide 192, or half of it, …
_STRIPES = (1, 2, 4, 8, 12, 24, 48, 96, 192)
_MIN_ROWS = 8  # of a full group, before there is a second stripe
_MAX_ORDERS = 512  # of a stripe's spans, in a group; then they come again
_FEISTEL_ROUNDS = 16
_ROUND_KEYS = 0x1E3779B9  # between the keys of two rounds, in which about half of the bits differ
_MODULUS = 2**31  # of hashes: products with a 27-bit constant stay within int64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Functions:
    """What an array library must offer: NumPy's functions of these names, and loops.

    `argsort` is of the last axis, and stable; `take` and `unstack` are of the first.
    `repeat(count, step, state)` returns `step(count - 1, … step(0, state))`. `settle(step, wrong,
    values)` applies `step` to all values, then to those that are `wrong` until none is. `mix` is
    what this module calls so.
    """

    arange: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    argsort: Callable[[Any], Any]
    take: Callable[[Any, Any], Any]
    cond: Callable[[Any, Callable[[], Any], Callable[[], Any]], Any]
    reshape: Callable[[Any, list[int]], Any]
    unstack: Callable[[Any], Sequence[Any]]
    repeat: Callable[[int, Callable[[Any, Any], Any], Any], Any]
    settle: Callable[[Callable[[Any], Any], Callable[[Any], Any], Any], Any]
    mix: Callable[[Any, Any], Any]


def mix(value: Any, key: Any) -> Any:
    """A hash of `value` under `key`, all in `0 … 2^31 - 1`; a bijection of `value`.

    The multiply and xor-shift hash of Mueller (https://stackoverflow.com/a/12996028), in which
    every bit of the result depends on every bit of the value.
    """
    value = value ^ key
    for _ in range(2):
        value = (value ^ value // 2**16) * 0x45D9F3B % _MODULUS
    return value ^ value // 2**16


def _settle(step: Callable[[Any], Any], wrong: Callable[[Any], Any], values: Any) -> Any:
    values = step(values)
    while np.any(wrong(values)):
        values = np.where(wrong(values), step(values), values)
    return values


NUMPY = Functions(
    arange=lambda size: np.arange(size, dtype=np.int64),
    where=np.where,
    minimum=np.minimum,
    argsort=lambda values: np.argsort(values, kind="stable"),
    take=lambda values, index: np.take(values, index, axis=0),
    cond=lambda condition, yes, no: yes() if condition else no(),
    reshape=np.reshape,
    unstack=list,
    repeat=lambda count, step, state: functools.reduce(
        lambda state, index: step(index, state), range(count), state
    ),
    settle=_settle,
    mix=mix,
)


class Group(NamedTuple):
    """One group of the order, as integers or tensors.

    The spans of stripe `s` are numbers `s·(rows + 1) … s·(rows + 1) + rows`; the last one is short.

    Attributes:
        start: scalar; position, over all epochs, of its first window.
        num_windows: scalar.
        rows: scalar; the full spans of a stripe.
        short: scalar; the windows of a short span.
        num_longer: scalar; so many stripes, the first, have a short span of one window more.
        first_windows: `[spans]`; where each span starts, `0 … 2n - 1` on the line of windows laid
            twice end to end, so that a span may run over the end of the text.
        span_windows: `[spans]`; how many windows it has.
        turns: `[spans]`; how far the permutation of its windows is rotated.
        shuffle: `[windows of a full span + 1]`; a permutation that leaves the last where it is.
        short_shuffle: `[windows of a short span + 2]`; the same of the last two.
        phases: `[stripes]`; how soon the first window of the short span comes.
        rounds: `[orders · rows]`; permutations of the spans of a stripe, one after the other.
    """

    start: Any
    num_windows: Any
    rows: Any
    short: Any
    num_longer: Any
    first_windows: Any
    span_windows: Any
    turns: Any
    shuffle: Any
    short_shuffle: Any
    phases: Any
    rounds: Any


class Order:
    """The endless training order over the windows of a split.

    Args:
        num_windows: at least 1.
        group_spans: spans that a group may have; 1 in the order of the text.
        span_windows: windows that a span may have.
        seed: any integer, or `None` for the order of the text.

    Attributes:
        stripes: a divisor of 192.
        span_windows: windows of a full span.
        num_groups: of an epoch.
    """

    def __init__(self, *, num_windows: int, group_spans: int, span_windows: int, seed: int | None):
        assert num_windows >= 1
        assert group_spans >= 1
        assert span_windows >= 1
        assert seed is not None or group_spans == 1
        self.num_windows = num_windows
        self.seed = seed
        most = max(1, group_spans // _MIN_ROWS)
        self.stripes = max(x for x in _STRIPES if x <= most)
        group_rows = group_spans // self.stripes
        if seed is not None and num_windows <= group_rows * self.stripes * span_windows:
            span_windows = -(-num_windows // (group_rows * self.stripes))
        self.span_windows = span_windows
        self._rows, self._num_left = divmod(num_windows, self.stripes * span_windows)
        self.num_groups = -(-(self._rows + (self._num_left > 0)) // group_rows)

    def group_at(self, position: int) -> int:
        """Returns the index, over all epochs, of the group that holds a position."""
        first = position // self.num_windows * self.num_groups
        groups = range(first, first + self.num_groups)
        return first + bisect.bisect_right(groups, position, key=self._start) - 1

    def _start(self, index: int) -> int:
        """The position of the first window of a group."""
        epoch, group = divmod(index, self.num_groups)
        rows, short = self._before(group, NUMPY)
        return epoch * self.num_windows + int(rows * self.span_windows + short) * self.stripes

    def _before(self, group: Any, functions: Functions) -> tuple[Any, Any]:
        """The rows, and the short windows of each stripe, that come before a group of an epoch."""

        def share(total: int) -> Any:
            each, more = divmod(total, self.num_groups)
            return group * each + functions.minimum(group, more)

        # In the order of the text, they are the last.
        is_shuffled = self.seed is not None
        return share(self._rows), share(self._num_left // self.stripes if is_shuffled else 0)

    def group(self, index: Any, functions: Functions = NUMPY) -> Group:
        """Returns the group of an index over all epochs, a scalar integer or tensor."""
        arange, where, argsort = functions.arange, functions.where, functions.argsort
        take, reshape, unstack = functions.take, functions.reshape, functions.unstack
        hashed, stripes, full = self._hash(functions), self.stripes, self.span_windows
        epoch, group = index // self.num_groups, index % self.num_groups
        zero = group * 0  # of the group's own integer type
        rows_before, shorts_before = self._before(group + arange(2), functions)
        first_row, next_row = unstack(rows_before)
        short_before, short_after = unstack(shorts_before)
        start = (first_row * full + short_before) * stripes
        end = (next_row * full + short_after) * stripes
        end = where(group == self.num_groups - 1, zero + self.num_windows, end)
        rows = next_row - first_row
        num_left = end - start - rows * full * stripes
        low, high = (self.seed or 0) % _MODULUS, (self.seed or 0) // _MODULUS % _MODULUS
        keys = hashed(arange(5), hashed(epoch % _MODULUS, mix(high, mix(low, 0))))
        stripes_key, column_key, group_key, *rotation_keys = unstack(keys)
        keys = hashed(arange(3 * stripes), stripes_key)
        row_keys, column_keys, short_keys = unstack(reshape(keys, [3, stripes]))
        number, stripe = arange(stripes * (rows + 1)), arange(stripes)
        of_span, place = number // (rows + 1), number % (rows + 1)
        # Full spans: a row, and a column in it. The last place of a stripe has no row.
        num_rows = max(1, self._rows)
        row = (first_row + place) % num_rows
        row = self._permute(row, num_rows, take(row_keys, of_span), functions)
        columns = argsort(column_keys)
        turned = (of_span + hashed(row % _MODULUS, column_key)) % stripes
        in_rows = (row * stripes + take(columns, turned)) * full
        # Short spans: those of one window more, and their stripes, come first.
        short, num_longer = num_left // stripes, num_left % stripes
        is_longer = stripe < num_longer
        short_windows = short + where(is_longer, zero + 1, zero)
        order = argsort(where(is_longer, short_keys, short_keys + _MODULUS))
        short_first = order * short + functions.minimum(order, num_longer)
        short_first += self._rows * full * stripes + short_before * stripes
        is_short = place == rows
        first_windows = where(is_short, take(short_first, of_span), in_rows)
        rotation = (rotation_keys[0] * _MODULUS + rotation_keys[1]) % self.num_windows

        keys = hashed(group * 2 % _MODULUS + arange(2), group_key)
        turn_key, window_key = unstack(keys)
        window = arange(full + short + 2)
        ranks = hashed(window, window_key)
        place_in_round = arange(where(rows > 0, rows, zero + 1))
        order_keys = reshape(ranks[: min(full, _MAX_ORDERS)], [-1, 1])
        return Group(
            start=epoch * self.num_windows + start,
            num_windows=end - start,
            rows=rows,
            short=short,
            num_longer=num_longer,
            first_windows=rotation + first_windows,
            span_windows=where(is_short, take(short_windows, of_span), zero + full),
            turns=hashed(number, turn_key) % full,
            shuffle=argsort(where(window < full, ranks, zero + _MODULUS)[: full + 1]),
            short_shuffle=argsort(where(window < full + short, ranks, zero + _MODULUS)[full:]),
            phases=columns * (rows * full + short) // stripes,
            rounds=reshape(argsort(hashed(place_in_round, order_keys)), [-1]),
        )

    def locate(self, group: Group, offset: Any, functions: Functions = NUMPY) -> Any:
        """Returns the windows, `0 … 2n - 1`, at offsets from the start of a group, `[n]`."""
        take, where, full = functions.take, functions.where, self.span_windows
        number = offset // self.stripes
        stripe = offset - number * self.stripes
        rows, first_span = group.rows, stripe * (group.rows + 1)
        num_orders = min(full, _MAX_ORDERS)

        def shared() -> tuple[Any, Any, Any]:
            """The short windows come at equal distances."""
            short = where(stripe < group.num_longer, group.short + 1, group.short)
            total = rows * full + short
            spread = number * short + take(group.phases, stripe)
            num_short = spread // total
            is_short = spread - num_short * total + short >= total
            of_short = take(group.short_shuffle, num_short)
            of_short += take(group.first_windows, first_span + rows)
            return number - num_short, is_short, of_short

        has_short = group.short + group.num_longer > 0
        all_full = number, number < 0, number
        number, is_short, of_short = functions.cond(has_short, shared, lambda: all_full)
        columns = where(rows > 0, rows, rows + 1)
        round_number = number // columns
        place = number - round_number * columns
        order = (round_number + stripe * (num_orders // self.stripes + 1)) % num_orders
        span = first_span + take(group.rounds, order * columns + place)
        turned = (take(group.shuffle, round_number) + take(group.turns, span)) % full
        return where(is_short, of_short, take(group.first_windows, span) + turned)

    def windows(self, positions: Any) -> np.ndarray:
        """Returns the window at each position of the endless order.

        Args:
            positions: `[n]` integers >= 0.

        Returns:
            `[n]` int64 in `0 … num_windows - 1`.
        """
        positions = np.asarray(positions, np.int64)
        ascending = np.argsort(positions, kind="stable")
        windows = np.empty_like(positions)
        done = 0
        while done < len(positions):
            group = self.group(self.group_at(int(positions[ascending[done]])))
            end = group.start + group.num_windows
            here = ascending[done : np.searchsorted(positions, end, sorter=ascending)]
            windows[here] = self.locate(group, positions[here] - group.start) % self.num_windows
            done += len(here)
        return windows

    def _hash(self, functions: Functions) -> Callable[[Any, Any], Any]:
        # Without a seed every hash is 0, and so every permutation the identity.
        return functions.mix if self.seed is not None else lambda value, key: (value + key) * 0

    def _permute(self, index: Any, size: int, key: Any, functions: Functions) -> Any:
        """A permutation of `0 … size - 1`: a Feistel network with modular addition.

        Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (2002): section 5, where the
        domain is a product of two sides, and section 3, by which what falls out of a smaller
        domain is permuted again. Each round adds to one side a hash of the other, which is a
        bijection whatever the hash.
        """
        height = math.isqrt(size - 1) + 1
        width = -(-size // height)
        hashed = self._hash(functions)

        def two_rounds(number: Any, halves: tuple[Any, Any]) -> tuple[Any, Any]:
            left, right = halves
            first_key = (key + number * _ROUND_KEYS) % _MODULUS
            left = (left + hashed(right, first_key)) % height
            right = (right + hashed(left, _MODULUS - 1 - first_key)) % width
            return left, right

        def permute(index: Any) -> Any:
            halves = index // width, index % width
            left, right = functions.repeat(_FEISTEL_ROUNDS // 2, two_rounds, halves)
            return left * width + right

        return functions.settle(permute, lambda place: place >= size, index)
