"""Order in which a split is read: position -> window. Pure integer arithmetic.

All windows of a split are numbered `0 … n - 1` in the order of the text. An epoch is a
permutation of them that depends on the seed and the epoch alone, in two levels:

1. The numbers, rotated by a random amount, are cut into *spans*, runs of consecutive
   windows that one seek reads; the spans are permuted over the whole split.
2. The spans, in that order, form *groups*: what is in memory at once. Inside a group,
   window `t` of every span comes before window `t + 1` of any, and the windows of each
   span are permuted.

With 8 spans of 3 windows in groups of 4, for example:

    position in the group    0  1  2  3 | 4  5  6  7 | 8  9 10 11
    span                     a  b  c  d | a  b  c  d | a  b  c  d
    window of the span       2  0  1  2 | 0  1  2  0 | 1  2  0  1

So consecutive positions come from different places in the text, and position `q` of a group
always from span `q % spans`: a host that trains on fixed rows of the batch needs fixed spans,
and reads only those. `spans` is a power of two so that batch sizes divide it.

What does not fill a group of full size forms one smaller group, of a contiguous stretch; what
is left then, fewer windows than spans, forms a last one. Where both stretches lie changes with
the rotation of each epoch.

The same formulas run on NumPy arrays here and on tensors in `windows`: they use operators,
and the three functions of `Functions`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

_ROUNDS = 16
_MODULUS = 2**31  # of hashes: products with a 27-bit constant stay within int64
_MIN_SPAN_WINDOWS = 32  # in the smaller group: what is left after it is under 1/32 of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Functions:
    """What an array library must offer: NumPy's `arange`, `where` and `argsort`, and a loop.

    `repeat(count, step, state)` returns `step(count - 1, … step(0, state))`.
    """

    arange: Callable[[Any], Any]
    where: Callable[[Any, Any, Any], Any]
    argsort: Callable[[Any], Any]
    repeat: Callable[[int, Callable[[Any, Any], Any], Any], Any]


NUMPY = Functions(
    arange=lambda size: np.arange(size, dtype=np.int64),
    where=np.where,
    argsort=lambda values: np.argsort(values, kind="stable"),
    repeat=lambda count, step, state: functools.reduce(
        lambda state, index: step(index, state), range(count), state
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A run of groups of one size, in the order of an epoch.

    Attributes:
        start: position in the epoch of its first window.
        first_group: index in the epoch of its first group.
        num_groups: its groups.
        spans: the spans of a group, a power of two.
        span_windows: the windows of a span.
    """

    start: int
    first_group: int
    num_groups: int
    spans: int
    span_windows: int

    @property
    def sides(self) -> tuple[int, int]:
        """Two factors of the section's number of spans, as equal as a power of two allows."""
        side = 1
        while side * 2 <= self.spans and (side * 2) ** 2 <= self.num_groups * self.spans:
            side *= 2
        return side, self.num_groups * self.spans // side


class Group(NamedTuple):
    """One group of the order, as integers or tensors.

    Attributes:
        start: scalar; position, over all epochs, of its first window.
        spans: scalar.
        span_windows: scalar.
        first_windows: `[spans]`; where each span starts, `0 … 2n - 1` on the line of windows
            laid twice end to end, so that a span may run over the end of the text.
        turns: `[spans]`; how far the permutation of each span's windows is rotated.
        shuffle: `[span_windows]`; a permutation.
    """

    start: Any
    spans: Any
    span_windows: Any
    first_windows: Any
    turns: Any
    shuffle: Any

    def locate(self, offset: Any, take: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
        """Returns the span, and the window within it, at `offset` positions after `start`."""
        span, time = offset % self.spans, offset // self.spans
        window = (take(self.shuffle, time) + take(self.turns, span)) % self.span_windows
        return span, window


class Order:
    """The endless training order over the windows of a split.

    Args:
        num_windows: at least 1.
        spans: spans in a full group, a power of two; 1 in the order of the text.
        span_windows: windows in a span of a full group.
        seed: any integer, or `None` for the order of the text.
    """

    def __init__(self, *, num_windows: int, spans: int, span_windows: int, seed: int | None):
        assert num_windows >= 1
        assert span_windows >= 1
        assert spans & (spans - 1) == 0
        assert seed is not None or spans == 1
        self.num_windows = num_windows
        self.seed = seed
        self.sections = _sections(num_windows, spans, span_windows)
        self.num_groups = sum(section.num_groups for section in self.sections)

    def group_at(self, position: int) -> int:
        """Returns the index, over all epochs, of the group that holds a position."""
        epoch, in_epoch = divmod(position, self.num_windows)
        section = [section for section in self.sections if section.start <= in_epoch][-1]
        group_windows = section.spans * section.span_windows
        group = section.first_group + (in_epoch - section.start) // group_windows
        return epoch * self.num_groups + group

    def group(self, index: Any, functions: Functions = NUMPY) -> Group:
        """Returns the group of an index over all epochs, a scalar integer or tensor."""
        epoch, group = index // self.num_groups, index % self.num_groups

        def of_section(attribute: Callable[[Section], int]) -> Any:
            value = group * 0 + attribute(self.sections[0])  # of the group's own integer type
            for section in self.sections[1:]:
                inside = group >= section.first_group
                value = functions.where(inside, group * 0 + attribute(section), value)
            return value

        section_start = of_section(lambda section: section.start)
        group_in_section = group - of_section(lambda section: section.first_group)
        spans = of_section(lambda section: section.spans)
        span_windows = of_section(lambda section: section.span_windows)
        in_epoch = section_start + group_in_section * spans * span_windows
        span, time = functions.arange(spans), functions.arange(span_windows)
        start = epoch * self.num_windows + in_epoch
        if self.seed is None:
            return Group(start, spans, span_windows, span + in_epoch, span * 0, time)
        low, high = self.seed % _MODULUS, self.seed // _MODULUS % _MODULUS
        epoch_key = _mix(epoch % _MODULUS, _mix(high, _mix(low, 0)))
        group_key = _mix(group_in_section % _MODULUS, _mix(section_start % _MODULUS, epoch_key))
        rotation = (_mix(1, epoch_key) * _MODULUS + _mix(2, epoch_key)) % self.num_windows
        sides = [of_section(lambda s: s.sides[0]), of_section(lambda s: s.sides[1])]
        place = _permute(group_in_section * spans + span, sides, _mix(3, epoch_key), functions)
        return Group(
            start=start,
            spans=spans,
            span_windows=span_windows,
            first_windows=rotation + section_start + place * span_windows,
            turns=_mix(span, _mix(1, group_key)) % span_windows,
            shuffle=functions.argsort(_mix(time, _mix(2, group_key))),
        )

    def windows(self, positions: Any) -> np.ndarray:
        """Returns the window at each position of the endless order.

        Args:
            positions: `[n]` integers >= 0.

        Returns:
            `[n]` int64 in `0 … num_windows - 1`.
        """
        positions = np.asarray(positions, np.int64)
        groups = np.array([self.group_at(int(position)) for position in positions], np.int64)
        windows = np.empty_like(positions)
        for index in np.unique(groups):
            group = self.group(index)
            here = groups == index
            span, window = group.locate(positions[here] - group.start, np.take)
            windows[here] = (group.first_windows[span] + window) % self.num_windows
        return windows


def _sections(num_windows: int, spans: int, span_windows: int) -> tuple[Section, ...]:
    """Full groups, a smaller one, and one of a single span for what is left."""
    num_groups, left = divmod(num_windows, spans * span_windows)
    sizes = [(num_groups, spans, span_windows)]
    while spans > 1 and left // spans < _MIN_SPAN_WINDOWS:
        spans //= 2
    sizes += [(1, spans, left // spans), (1, 1, left % spans)]
    sections: list[Section] = []
    start = first_group = 0
    for num_groups, spans, span_windows in sizes:
        if num_groups and span_windows:
            section = Section(
                start=start,
                first_group=first_group,
                num_groups=num_groups,
                spans=spans,
                span_windows=span_windows,
            )
            sections.append(section)
            start += num_groups * spans * span_windows
            first_group += num_groups
    return tuple(sections)


def _permute(index: Any, sides: list[Any], key: Any, functions: Functions) -> Any:
    """A permutation of `0 … sides[0] * sides[1] - 1`: a Feistel network with modular addition.

    Black and Rogaway, "Ciphers with Arbitrary Finite Domains" (2002), section 5, where the
    domain is a product of two sides and so needs no second try. Each round adds to one side
    a hash of the other, which is a bijection whatever the hash.
    """

    def two_rounds(number: Any, halves: tuple[Any, Any]) -> tuple[Any, Any]:
        left, right = halves
        left = (left + _mix(right, _mix(2 * number, key))) % sides[0]
        right = (right + _mix(left, _mix(2 * number + 1, key))) % sides[1]
        return left, right

    halves = index // sides[1], index % sides[1]
    left, right = functions.repeat(_ROUNDS // 2, two_rounds, halves)
    return left * sides[1] + right


def _mix(value: Any, key: Any) -> Any:
    """A hash of `value` under `key`, all in `0 … 2^31 - 1`; a bijection of `value`.

    The multiply and xor-shift hash of Mueller (https://stackoverflow.com/a/12996028), in which
    every bit of the result depends on every bit of the value.
    """
    value = value ^ key
    for _ in range(2):
        value = (value ^ value // 2**16) * 0x45D9F3B % _MODULUS
    return value ^ value // 2**16
