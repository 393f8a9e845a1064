"""Page of `textreel plan --what_if`: what other hosts, batches and strides would ask for.

All of it is arithmetic over the tokens of the plan, by the functions that reading itself uses. What
follows from a model and a machine is no part of a plan, and the page says so.
"""

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.auditing.costs.epochs import EpochRequests, requests_of_epoch
from pipeline.auditing.estimate import SplitEstimate
from pipeline.commands.costs import money_text
from pipeline.commands.plan import WhatIf, certainty_text
from pipeline.errors import OptionError
from pipeline.reading.arrays.groups import join_spans
from pipeline.reading.batches import Batching
from pipeline.reading.geometry import SHUFFLE_BYTES, Windows, make_order
from pipeline.sizes import count_text, size_text, time_text
from pipeline.vocabulary.base import token_dtype
from trainer.pages.plots import Drawing, Line, Plot
from trainer.pages.rendering import check_libraries, write_page

_FACTORS = (0.125, 0.25, 0.5, 1, 2, 4, 8)  # of the batch
_DIVISORS = (1, 2, 4, 8)  # of the windows, to strides
_HOSTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_RATES = (10**4, 10**5, 10**6, 10**7)  # tokens a second, of all hosts together
_COPIES = 4  # of a group, as `shuffle_bytes` counts them
_TIMES = {"hours": 3600, "minutes": 60, "seconds": 1}
_SIZES = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "bytes": 1}


class Memory(NamedTuple):
    """What a host needs for its input.

    Attributes:
        group_bytes: the tokens of a group that it reads.
        batch_bytes: its rows of a batch, inputs and targets.
    """

    group_bytes: int
    batch_bytes: int


def write_what_if(asked: WhatIf, output: str | os.PathLike[str]) -> int:
    """Writes the page.

    Args:
        asked: the plan, and what its options say.
        output: the page; one that is there is replaced.

    Returns:
        The size of the page, in bytes.

    Raises:
        OptionError: no split has a window.
        UserError: a library is missing.
        OSError: the page cannot be written.
    """
    check_libraries()
    name, split = max(asked.estimate.splits.items(), key=lambda item: item[1].num_tokens)
    if not split.num_windows:
        raise OptionError(
            f"`what_if` needs a window, and split {name} has none of {asked.windows.num_tokens} "
            "tokens: use a shorter `--seq_len` or prepare more text"
        )
    hosts = host_counts(asked)
    requests = {count: epoch_requests(asked, split, hosts=count) for count in hosts}
    memory = {count: input_memory(asked, split, hosts=count) for count in hosts}
    values = {
        "split": name,
        "facts": _facts(asked, split),
        "certainty": certainty_text(asked.estimate),
        "plots": [
            _draw_steps(asked, split),
            _draw_memory(asked, memory),
            _draw_requests(asked, requests),
            _draw_time(asked, split),
        ],
    }
    return write_page("what_if.html.jinja", values, output)


def strides(asked: WhatIf) -> list[int]:
    """The strides that are compared, the one that is asked for among them; descending."""
    seq_len = asked.windows.seq_len
    return sorted({asked.windows.stride, *(-(-seq_len // by) for by in _DIVISORS)}, reverse=True)


def batch_sizes(asked: WhatIf) -> list[int]:
    """The batch sizes that are compared, the one that is asked for among them; ascending."""
    return sorted({max(1, round(asked.batch_size * factor)) for factor in _FACTORS})


def host_counts(asked: WhatIf) -> list[int]:
    """The numbers of hosts that are compared: those that can share the batch; ascending."""
    return [count for count in sorted({*_HOSTS, asked.hosts}) if asked.batch_size % count == 0]


def windows_at(asked: WhatIf, split: SplitEstimate, stride: int) -> int:
    """The windows of a split at another stride."""
    windows = Windows(seq_len=asked.windows.seq_len, stride=stride)
    return int(windows.first_windows(split.shard_tokens)[-1])


def epoch_requests(asked: WhatIf, split: SplitEstimate, *, hosts: int) -> EpochRequests:
    """What an epoch asks of a store with so many hosts."""
    found = requests_of_epoch(
        split.shard_tokens,
        asked.windows,
        itemsize=_itemsize(asked),
        record_tokens=asked.record_tokens,
        hosts=hosts,
    )
    assert found is not None  # the split has windows
    return found


def input_memory(asked: WhatIf, split: SplitEstimate, *, hosts: int) -> Memory:
    """What the first of so many hosts needs for its input, of the first group.

    As `arrays.groups` reads it: the spans of the stripes that the host has rows of, joined where
    they are near each other.
    """
    windows, itemsize = asked.windows, _itemsize(asked)
    order = make_order(windows, split.num_windows, itemsize=itemsize, seed=0)
    batches = Batching(batch_size=asked.batch_size, host_count=hosts)
    residues, group = batches.residues(order.stripes), order.group(0)
    stripe = np.arange(order.stripes * (group.rows + 1)) // (group.rows + 1)
    wanted = residues[stripe % len(residues)] & (group.span_windows > 0)
    _, counts = join_spans(
        group.first_windows[wanted],
        group.span_windows[wanted],
        gap=asked.record_tokens // windows.stride,
    )
    num_tokens = int((counts - 1 + windows.num_tiles).sum()) * windows.stride
    return Memory(
        group_bytes=num_tokens * itemsize,
        batch_bytes=2 * batches.host_rows * windows.seq_len * np.dtype(np.int32).itemsize,
    )


def _itemsize(asked: WhatIf) -> int:
    return token_dtype(asked.estimate.vocabulary_size).itemsize


def _facts(asked: WhatIf, split: SplitEstimate) -> list[tuple[str, str]]:
    result, windows = asked.estimate, asked.windows
    hosts = count_text(asked.hosts, "host")
    if asked.batch_size % asked.hosts:
        hosts += ", which cannot share the batch equally"
    return [
        ("text", size_text(split.text_bytes)),
        ("tokens", f"{split.num_tokens:,}"),
        ("windows", f"{split.num_windows:,} of {count_text(windows.num_tokens, 'token')}"),
        ("stride", count_text(windows.stride, "token")),
        ("batch", f"{count_text(asked.batch_size, 'row')}, {hosts}"),
        ("an epoch", f"{split.num_windows / asked.batch_size:,.1f} steps"),
        (
            "to prepare it",
            f"about {time_text(result.seconds)} of computing, {size_text(result.memory_bytes)} of "
            f"memory, {size_text(result.disk_bytes)} on disk",
        ),
    ]


def _draw_steps(asked: WhatIf, split: SplitEstimate) -> Plot:
    sizes, counts = batch_sizes(asked), {s: windows_at(asked, split, s) for s in strides(asked)}
    drawing = Drawing("steps")
    drawing.axes[0].set(xscale="log", yscale="log")
    drawing.draw_lines(_lines_of(counts, sizes, lambda count, size: count / size))
    return Plot(
        name="steps",
        title="Steps an epoch",
        reading="Half the stride has twice the windows, which overlap: twice the steps, with the "
        "same text. Both scales are logarithmic.",
        svg=drawing.svg(x="rows of a batch", y=["steps an epoch"]),
        columns=("rows", *(f"stride {stride:,}" for stride in counts)),
        rows=(
            *(
                (
                    _marked(f"{size:,}", size == asked.batch_size),
                    *(f"{count / size:,.1f}" for count in counts.values()),
                )
                for size in sizes
            ),
            ("windows", *(f"{count:,}" for count in counts.values())),
        ),
    )


def _draw_memory(asked: WhatIf, memory: dict[int, Memory]) -> Plot:
    hosts = np.array(list(memory), np.float64)
    group = np.array([each.group_bytes for each in memory.values()], np.float64)
    batch = np.array([each.batch_bytes for each in memory.values()], np.float64)
    unit, size = _unit(_COPIES * group, _SIZES)
    drawing = _drawing_of_hosts("memory", hosts)
    drawing.draw_lines(
        [
            Line(label="shuffle, at most", x=hosts, y=_COPIES * group / size),
            Line(label="a batch", x=hosts, y=batch / size, colour=1, dashes=1),
        ]
    )
    return Plot(
        name="memory",
        title="Memory of a host, for its input",
        reading=f"A host reads the spans of its own rows. There are up to {_COPIES} copies of a "
        f"group, all together {size_text(SHUFFLE_BYTES)} at most. TensorFlow, the model and its "
        "optimizer come on top: textreel train shows what they take.",
        svg=drawing.svg(x="hosts", y=[unit]),
        columns=("hosts", "rows of each", "a group", "shuffle, at most", "a batch"),
        rows=tuple(
            (
                _marked(f"{count:,}", count == asked.hosts),
                f"{asked.batch_size // count:,}",
                size_text(each.group_bytes),
                size_text(_COPIES * each.group_bytes),
                size_text(each.batch_bytes),
            )
            for count, each in memory.items()
        ),
    )


def _draw_requests(asked: WhatIf, requests: dict[int, EpochRequests]) -> Plot:
    hosts = np.array(list(requests), np.float64)
    found = {
        "first epoch, at most": [epoch.first.most for epoch in requests.values()],
        "first epoch, at least": [epoch.first.least for epoch in requests.values()],
        "later, from the cache": [epoch.later for epoch in requests.values()],
        "no cache, at most": [epoch.uncached.most for epoch in requests.values()],
    }
    drawing = _drawing_of_hosts("requests", hosts)
    drawing.draw_lines(
        [
            Line(
                label=label,
                x=hosts,
                y=np.array([each.reads for each in values], np.float64),
                colour=index,
                dashes=index,
            )
            for index, (label, values) in enumerate(found.items())
        ]
    )
    prices = asked.prices
    cells = [
        [f"{each.reads:,}, {size_text(each.out_bytes)}" for each in row]
        for row in zip(*found.values(), strict=True)
    ]
    reading = "Reads of an epoch, all hosts together, where the corpus lies in a store. "
    if prices is None:
        reading += "Give --price FILE to see what they cost."
    else:
        first = requests[1].first
        reading += (
            f"With one host the first epoch costs {money_text(prices, prices.of(first.least))} to "
            f"{money_text(prices, prices.of(first.most))}."
        )
    return Plot(
        name="requests",
        title="Requests to a store",
        reading=reading,
        svg=drawing.svg(x="hosts", y=["reads an epoch"]),
        columns=("hosts", *found),
        rows=tuple(
            (_marked(f"{count:,}", count == asked.hosts), *row)
            for count, row in zip(requests, cells, strict=True)
        ),
    )


def _draw_time(asked: WhatIf, split: SplitEstimate) -> Plot:
    tokens = {s: windows_at(asked, split, s) * asked.windows.seq_len for s in strides(asked)}
    unit, size = _unit(max(tokens.values()) / np.array(_RATES), _TIMES)
    drawing = Drawing("time")
    drawing.axes[0].set(xscale="log", yscale="log")
    drawing.draw_lines(_lines_of(tokens, _RATES, lambda count, rate: count / rate / size))
    return Plot(
        name="time",
        title="Time of an epoch",
        reading="A plan cannot know how fast a model trains: read your rate, in tokens a second of "
        "all hosts together, from the line that textreel train shows.",
        svg=drawing.svg(x="tokens a second", y=[unit]),
        columns=("tokens a second", *(f"stride {stride:,}" for stride in tokens)),
        rows=(
            *(
                (f"{rate:,}", *(time_text(count / rate) for count in tokens.values()))
                for rate in _RATES
            ),
            ("tokens trained on", *(f"{count:,}" for count in tokens.values())),
        ),
    )


def _lines_of(
    counts: dict[int, int], x: Sequence[int], value: Callable[[int, int], float]
) -> list[Line]:
    """A line for each stride."""
    return [
        Line(
            label=f"stride {stride:,}",
            x=np.array(x, np.float64),
            y=np.array([value(count, place) for place in x]),
            colour=index,
            dashes=index,
        )
        for index, (stride, count) in enumerate(counts.items())
    ]


def _drawing_of_hosts(name: str, hosts: np.ndarray) -> Drawing:
    drawing = Drawing(name)
    axes = drawing.axes[0]
    axes.set(xscale="log", yscale="log")
    axes.set_xticks(hosts[np.log2(hosts) % 1 == 0], minor=False)
    axes.set_xticks([], minor=True)
    return drawing


def _unit(values: np.ndarray, units: dict[str, int]) -> tuple[str, int]:
    """The largest unit of which the largest value has at least one; its name and size."""
    return next((name, size) for name, size in units.items() if values.max() >= size or size == 1)


def _marked(text: str, is_asked: bool) -> str:
    return f"{text} (asked)" if is_asked else text
